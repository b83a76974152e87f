"""Cut one photo and say what came back.

python examples/python_client.py photo.jpg photo.cutout.png
python examples/python_client.py photo.jpg photo.mask.png --mode fg-mask --server cutouts.internal:50051
python examples/python_client.py https://example.org/shoes.jpg shop.jpg --format jpeg --color white --crop 0.05
"""

import argparse
import os
import sys

from alphacut import AlphacutError, Background, Client, ImageFormat, Mode, Options


def main() -> int:
    """Return 0, or 1 after saying why there is no cut-out."""
    parser = argparse.ArgumentParser(description="Cut one photo.")
    parser.add_argument("photo", help="a file, or a URL that the server fetches")
    parser.add_argument("output")
    parser.add_argument("--mode", choices=list(Mode), default=Mode.FG_IMAGE)
    parser.add_argument("--format", choices=list(ImageFormat), default=ImageFormat.PNG)
    parser.add_argument("--color", help="of the background; transparent without")
    parser.add_argument(
        "--crop", type=float, help="margin around the subject, 0 to 1; the whole photo without"
    )
    parser.add_argument("--server", default="127.0.0.1:50051")
    chosen = parser.parse_args()

    # Kept once for any number of photos; each of these may as well be a keyword of the call.
    options = Options(
        mode=chosen.mode,
        format=chosen.format,
        background=Background(color=chosen.color) if chosen.color else None,
        crop_margin=chosen.crop,
    )
    # The key from ALPHACUT_API_KEY, if the server wants one: no key belongs into code or onto a command line.
    with Client(chosen.server, timeout_s=20, api_key=os.environ.get("ALPHACUT_API_KEY")) as client:
        try:
            cutout = client.remove_background(chosen.photo, options)
        except AlphacutError as error:
            # `reason` is a stable word to switch on; the message is for people.
            print(f"{error.reason or 'FAILED'}: {error}", file=sys.stderr)
            return 1

    cutout.save(chosen.output)
    print(f"{cutout.width}x{cutout.height} px by {cutout.model} into {chosen.output}")
    print(f"cut from {cutout.picture_width}x{cutout.picture_height} px, {cutout.name or 'without a name'}")
    for found in cutout.objects:
        box = found.box
        print(f"subject at x={box.x:.3f} y={box.y:.3f} width={box.width:.3f} height={box.height:.3f}")
    for timing in cutout.timings:
        print(f"{timing.stage:<10} {timing.duration_s * 1000:7.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
