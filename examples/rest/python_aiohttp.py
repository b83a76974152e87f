"""Cut a folder's worth of photos at once with aiohttp, as raw PNG: no base64 on either side.

python examples/rest/python_aiohttp.py one.jpg two.jpg three.png --out cutouts
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp

# More calls under way fill the service's batches better; each holds a photo and a cut-out in this process.
AT_ONCE = 8
ATTEMPTS = 4
TIMEOUT = aiohttp.ClientTimeout(total=60)


class NotCut(Exception):
    """The service answered, but with a reason in place of a picture."""


async def cut(session: aiohttp.ClientSession, photo: Path) -> bytes:
    """Return the PNG, coming back while the service is busy. Raises NotCut and aiohttp.ClientError."""
    content = await asyncio.to_thread(photo.read_bytes)
    for attempt in range(1, ATTEMPTS + 1):
        form = aiohttp.FormData()
        form.add_field("image", content, filename=photo.name)
        async with session.post("/v1/results", data=form, headers={"Accept": "image/png"}) as answer:
            if answer.status == 503 and attempt < ATTEMPTS:
                await asyncio.sleep(int(answer.headers.get("Retry-After", "1")))
                continue
            answer.raise_for_status()
            if answer.content_type == "image/png":
                return await answer.read()
            # What could not be cut is told as JSON, whatever was asked for.
            status = (await answer.json())["results"][0]["status"]
            raise NotCut(status["message"])
    raise AssertionError("the last attempt returns or raises")


async def cut_all(url: str, photos: Sequence[Path], folder: Path) -> int:
    """Cut the photos into the folder; returns how many failed."""
    places = asyncio.Semaphore(AT_ONCE)
    key = os.environ.get("ALPHACUT_API_KEY")
    headers = {"X-API-KEY": key} if key else {}

    async with aiohttp.ClientSession(url, headers=headers, timeout=TIMEOUT) as session:

        async def cut_one(photo: Path) -> bool:
            async with places:
                try:
                    picture = await cut(session, photo)
                except (NotCut, aiohttp.ClientError, TimeoutError) as error:
                    print(f"{photo}: {error}", file=sys.stderr)
                    return False
            await asyncio.to_thread((folder / f"{photo.stem}.cutout.png").write_bytes, picture)
            return True

        done = await asyncio.gather(*(cut_one(photo) for photo in photos))
    print(f"{sum(done)} of {len(photos)} photos into {folder}")
    return done.count(False)


def main() -> int:
    """Return 0, or 1 when a photo failed."""
    parser = argparse.ArgumentParser(description="Cut several photos at once.")
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("cutouts"))
    parser.add_argument("--url", default=os.environ.get("ALPHACUT_URL", "http://127.0.0.1:8080"))
    chosen = parser.parse_args()

    chosen.out.mkdir(parents=True, exist_ok=True)
    return 1 if asyncio.run(cut_all(chosen.url, chosen.photos, chosen.out)) else 0


if __name__ == "__main__":
    sys.exit(main())
