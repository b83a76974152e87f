"""Cut several photos at once from an asyncio program; each is a call of its own, so replicas share the work.

python examples/async_client.py one.jpg two.jpg three.png --out cutouts
python examples/async_client.py one.jpg two.jpg --background beach.jpg --format webp
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from alphacut import AlphacutError, AsyncClient, Background, BackgroundFit, ImageFormat, Options

# More calls under way fill the server's batches better; each holds a photo and a cut-out in this process.
AT_ONCE = 8


async def cut_all(server: str, photos: Sequence[Path], folder: Path, options: Options) -> int:
    """Cut the photos into the folder; returns how many failed."""
    places = asyncio.Semaphore(AT_ONCE)

    async with AsyncClient(server) as client:

        async def cut(photo: Path) -> bool:
            async with places:
                try:
                    cutout = await client.remove_background(photo, options)
                except AlphacutError as error:
                    print(f"{photo}: {error.reason or 'FAILED'}: {error}", file=sys.stderr)
                    return False
            cutout.save(folder / f"{photo.stem}.cutout{cutout.suffix}")
            return True

        done = await asyncio.gather(*(cut(photo) for photo in photos))
    print(f"{sum(done)} of {len(photos)} photos into {folder}")
    return done.count(False)


def main() -> int:
    """Return 0, or 1 when a photo failed."""
    parser = argparse.ArgumentParser(description="Cut several photos at once.")
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("cutouts"))
    parser.add_argument("--format", choices=list(ImageFormat), default=ImageFormat.PNG)
    parser.add_argument("--background", type=Path, help="a photo to lay behind each subject")
    parser.add_argument("--server", default="127.0.0.1:50051")
    chosen = parser.parse_args()

    background = None
    if chosen.background:
        # The bytes rather than the path, which would be read anew for every photo.
        background = Background(image=chosen.background.read_bytes(), fit=BackgroundFit.COVER)
    options = Options(format=chosen.format, background=background)

    chosen.out.mkdir(parents=True, exist_ok=True)
    return 1 if asyncio.run(cut_all(chosen.server, chosen.photos, chosen.out, options)) else 0


if __name__ == "__main__":
    sys.exit(main())
