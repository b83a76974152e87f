"""Cut a folder of photos over one streaming call: bulk work, answered out of order, at most 16 photos in memory.

python examples/stream.py photos/ cutouts/
"""

import argparse
import sys
from pathlib import Path

from alphacut import Client

ENDINGS = {".jpg", ".jpeg", ".png"}


def main() -> int:
    """Return 0, or 1 when a photo failed."""
    parser = argparse.ArgumentParser(description="Cut a folder of photos over one call.")
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--server", default="127.0.0.1:50051")
    chosen = parser.parse_args()

    chosen.out.mkdir(parents=True, exist_ok=True)
    found = sorted(path for path in chosen.photos.iterdir() if path.suffix.lower() in ENDINGS)
    failed = 0
    with Client(chosen.server) as client:
        # A generator: a photo is read when there is room for it, not before.
        answers = client.remove_background_stream((path.name, path) for path in found)
        for answer in answers:
            if answer.cutout is None:
                failed += 1
                print(f"{answer.id}: {answer.error}", file=sys.stderr)
            else:
                answer.cutout.save(chosen.out / f"{Path(answer.id).stem}.cutout.png")
    print(f"{len(found) - failed} of {len(found)} photos into {chosen.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
