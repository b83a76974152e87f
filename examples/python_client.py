"""Cut one photo and say what came back.

python examples/python_client.py photo.jpg photo.cutout.png
python examples/python_client.py photo.jpg photo.mask.png --mode fg-mask --server cutouts.internal:50051
"""

import argparse
import sys

from alphacut import AlphacutError, Client, Mode


def main() -> int:
    """Return 0, or 1 after saying why there is no cut-out."""
    parser = argparse.ArgumentParser(description="Cut one photo.")
    parser.add_argument("photo")
    parser.add_argument("output")
    parser.add_argument("--mode", choices=list(Mode), default=Mode.FG_IMAGE)
    parser.add_argument("--server", default="127.0.0.1:50051")
    chosen = parser.parse_args()

    with Client(chosen.server, timeout_s=20) as client:
        try:
            cutout = client.remove_background(chosen.photo, mode=chosen.mode)
        except AlphacutError as error:
            # `reason` is a stable word to switch on; the message is for people.
            print(f"{error.reason or 'FAILED'}: {error}", file=sys.stderr)
            return 1

    cutout.save(chosen.output)
    print(f"{cutout.width}x{cutout.height} px by {cutout.model} into {chosen.output}")
    for found in cutout.objects:
        box = found.box
        print(f"subject at x={box.x:.3f} y={box.y:.3f} width={box.width:.3f} height={box.height:.3f}")
    for timing in cutout.timings:
        print(f"{timing.stage:<10} {timing.duration_s * 1000:7.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
