"""Make the demo page's sample photos, server/alphacut_gateway/page/samples/, from pictures in scikit-image's wheel.

.venv/bin/python docs/make_samples.py

Each is free for any use, as its description in `skimage.data` says; LICENSES.txt beside them repeats it.
"""

from dataclasses import dataclass
from pathlib import Path

import skimage
from PIL import Image

SOURCE = Path(skimage.__file__).parent / "data"
SAMPLES = Path(__file__).parents[1] / "server" / "alphacut_gateway" / "page" / "samples"
JPEG_QUALITY = 88

HEAD = """The sample photos of the demo page, and why they may be used freely. All four come from scikit-image's
collection of pictures (skimage.data) and were saved as JPEG, otherwise unchanged.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo: its name here, its file in scikit-image, what it is and what allows its use."""

    name: str
    origin: str
    subject: str
    terms: str


PHOTOS = (
    Sample(
        "coffee.jpg",
        "coffee.png",
        "A cup of coffee, by Rachel Michetti, courtesy of Pikolo Espresso Bar.",
        "CC0: dedicated to the public domain by the photographer.",
    ),
    Sample(
        "astronaut.jpg",
        "astronaut.png",
        "The astronaut Eileen Collins, from NASA's Great Images collection.",
        "Public domain: a work of NASA, no known copyright restrictions.",
    ),
    Sample(
        "cat.jpg",
        "chelsea.png",
        "Chelsea the cat, by Stefan van der Walt.",
        "CC0: dedicated to the public domain by the photographer.",
    ),
    Sample(
        "rocket.jpg",
        "rocket.jpg",
        "Launch of DSCOVR on a Falcon 9, by SpaceX.",
        "Public domain: released by SpaceX.",
    ),
)


def main() -> None:
    """Write the photos and the page of their licences."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        with Image.open(SOURCE / photo.origin) as image:
            image.convert("RGB").save(SAMPLES / photo.name, quality=JPEG_QUALITY, optimize=True)
    entries = (f"{photo.name}\n  {photo.subject}\n  {photo.terms}\n" for photo in PHOTOS)
    (SAMPLES / "LICENSES.txt").write_text("\n".join((HEAD, *entries)), encoding="utf-8")


if __name__ == "__main__":
    main()
