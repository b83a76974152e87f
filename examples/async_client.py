"""Cut several photos at once from an asyncio program; each is a call of its own, so replicas share the work.

python examples/async_client.py one.jpg two.jpg three.png --out cutouts
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from alphacut import AlphacutError, AsyncClient

# More calls under way fill the server's batches better; each holds a photo and a cut-out in this process.
AT_ONCE = 8


async def cut_all(server: str, photos: Sequence[Path], folder: Path) -> int:
    """Cut the photos into the folder; returns how many failed."""
    places = asyncio.Semaphore(AT_ONCE)

    async with AsyncClient(server) as client:

        async def cut(photo: Path) -> bool:
            async with places:
                try:
                    cutout = await client.remove_background(photo)
                except AlphacutError as error:
                    print(f"{photo}: {error.reason or 'FAILED'}: {error}", file=sys.stderr)
                    return False
            cutout.save(folder / f"{photo.stem}.cutout.png")
            return True

        done = await asyncio.gather(*(cut(photo) for photo in photos))
    print(f"{sum(done)} of {len(photos)} photos into {folder}")
    return done.count(False)


def main() -> int:
    """Return 0, or 1 when a photo failed."""
    parser = argparse.ArgumentParser(description="Cut several photos at once.")
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("cutouts"))
    parser.add_argument("--server", default="127.0.0.1:50051")
    chosen = parser.parse_args()

    chosen.out.mkdir(parents=True, exist_ok=True)
    return 1 if asyncio.run(cut_all(chosen.server, chosen.photos, chosen.out)) else 0


if __name__ == "__main__":
    sys.exit(main())
