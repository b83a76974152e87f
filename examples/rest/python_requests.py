"""Cut one photo with requests.

python examples/rest/python_requests.py photo.jpg cutout.png
python examples/rest/python_requests.py photo.jpg mask.png --mode fg-mask --url http://cutouts.internal:8080
"""

import argparse
import base64
import os
import sys
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry


class NotCut(Exception):
    """The service answered, but with a reason in place of a picture."""


def open_session() -> requests.Session:
    """Return a session that comes back after 429 and 503, when their Retry-After says so."""
    # POST is not retried unless told; cutting a photo changes nothing, so it may be sent twice.
    retry = Retry(total=3, status_forcelist=(429, 503), allowed_methods=None, backoff_factor=0.5)
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    if key := os.environ.get("ALPHACUT_API_KEY"):
        session.headers["X-API-KEY"] = key
    return session


def cut(session: requests.Session, url: str, photo: Path, mode: str) -> bytes:
    """Return the PNG. Raises NotCut, and requests' own errors for anything but 200."""
    with photo.open("rb") as file:
        answer = session.post(
            f"{url}/v1/results", params={"mode": mode}, files={"image": (photo.name, file)}, timeout=60
        )
    answer.raise_for_status()
    result = answer.json()["results"][0]
    if result["status"]["code"] == "failure":
        raise NotCut(result["status"]["message"])
    print(f"{result['width']}x{result['height']} px")
    for found in result["entities"][1]["objects"]:
        print("subject at x={:.3f} y={:.3f} width={:.3f} height={:.3f}".format(*found["box"]))
    return base64.b64decode(result["entities"][0]["image"])


def main() -> int:
    """Return 0, or 1 after saying why there is no cut-out."""
    parser = argparse.ArgumentParser(description="Cut one photo.")
    parser.add_argument("photo", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--mode", choices=("fg-image", "fg-mask", "fg-image-shadow"), default="fg-image")
    parser.add_argument("--url", default=os.environ.get("ALPHACUT_URL", "http://127.0.0.1:8080"))
    chosen = parser.parse_args()

    with open_session() as session:
        try:
            picture = cut(session, chosen.url, chosen.photo, chosen.mode)
        except (NotCut, requests.RequestException) as error:
            print(f"{chosen.photo}: {error}", file=sys.stderr)
            return 1
    chosen.output.write_bytes(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
