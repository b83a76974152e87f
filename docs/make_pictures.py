"""Make docs/pictures/: what alphacut does to a photo, by the model that a new installation starts with.

.venv/bin/python docs/make_pictures.py

The photo is scikit-image's `coffee.png`, by Rachel Michetti, courtesy of Pikolo Espresso Bar, dedicated to the public
domain (CC0), as its description in `skimage.data.coffee` says.
"""

from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from alphacut import Client, Mode
from alphacut_server import embedded

PHOTO = Path(skimage.__file__).parent / "data" / "coffee.png"
PICTURE = Path(__file__).with_name("pictures") / "before-after.jpg"

MODEL = "u2netp"
HEIGHT_PX = 260
GAP_PX = 8
# Squares and shades that image editors show transparency with.
SQUARE_PX = 10
SHADES = (255, 204)


def main() -> None:
    """Cut the photo in two modes and lay photo, cut-out and mask side by side."""
    with embedded.start(model=MODEL) as server, Client(server.target) as client:
        cutout = client.remove_background(PHOTO).to_pil()
        mask = client.remove_background(PHOTO, mode=Mode.FG_MASK).to_pil()
    with Image.open(PHOTO) as photo:
        panels = [shrunk(photo.convert("RGB")), over_squares(shrunk(cutout)), shrunk(mask.convert("RGB"))]

    width = sum(panel.width for panel in panels) + GAP_PX * (len(panels) - 1)
    sheet = Image.new("RGB", (width, HEIGHT_PX), "white")
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width + GAP_PX
    PICTURE.parent.mkdir(exist_ok=True)
    sheet.save(PICTURE, quality=88, optimize=True)


def shrunk(image: Image.Image) -> Image.Image:
    """Return the image at the sheet's height."""
    width = round(image.width * HEIGHT_PX / image.height)
    return image.resize((width, HEIGHT_PX), Image.Resampling.LANCZOS)


def over_squares(cutout: Image.Image) -> Image.Image:
    """Lay an RGBA image over grey and white squares."""
    rows, columns = np.indices((cutout.height, cutout.width)) // SQUARE_PX
    squares = np.where((rows + columns) % 2 == 0, *SHADES).astype(np.uint8)
    below = Image.fromarray(squares).convert("RGBA")
    below.alpha_composite(cutout)
    return below.convert("RGB")


if __name__ == "__main__":
    main()
