"""Cut a photo that lies somewhere on the web, with httpx: the service fetches it, this program sends its URL alone.

python examples/rest/python_httpx.py https://shop.example/shoes.jpg cutout.webp --format webp
"""

import argparse
import base64
import os
import sys
from pathlib import Path

import httpx


class NotCut(Exception):
    """The service answered, but with a reason in place of a picture."""


def cut(client: httpx.Client, source: str, picture_format: str) -> bytes:
    """Return the file. Raises NotCut, and httpx's own errors for anything but 200."""
    answer = client.post("/v1/results", params={"format": picture_format}, data={"url": source})
    answer.raise_for_status()
    result = answer.json()["results"][0]
    if result["status"]["code"] == "failure":
        raise NotCut(result["status"]["message"])
    print(f"{result['name']}: {result['width']}x{result['height']} px, {result['entities'][0]['format']}")
    return base64.b64decode(result["entities"][0]["image"])


def main() -> int:
    """Return 0, or 1 after saying why there is no cut-out."""
    parser = argparse.ArgumentParser(description="Cut a photo by its URL.")
    parser.add_argument("source", help="URL of a JPEG or PNG")
    parser.add_argument("output", type=Path)
    parser.add_argument("--format", choices=("png", "webp", "jpeg"), default="png")
    parser.add_argument("--url", default=os.environ.get("ALPHACUT_URL", "http://127.0.0.1:8080"))
    chosen = parser.parse_args()

    key = os.environ.get("ALPHACUT_API_KEY")
    headers = {"X-API-KEY": key} if key else {}
    with httpx.Client(base_url=chosen.url, headers=headers, timeout=60) as client:
        try:
            picture = cut(client, chosen.source, chosen.format)
        except (NotCut, httpx.HTTPError) as error:
            print(f"{chosen.source}: {error}", file=sys.stderr)
            return 1
    chosen.output.write_bytes(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
