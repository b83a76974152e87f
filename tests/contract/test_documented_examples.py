"""The documented curl commands, run by curl itself, answer the documented JSON: key order and number formats compared as text."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from support.images import known_picture, tight_box
from support.pictures import jpeg_bytes, png_bytes
from support.rest import PictureSite, RestService, compact_json
from support.server import HANG_S

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

# What every successful answer looks like. The words in angle brackets depend on the picture and on what was asked for.
ANSWER = """
{
  "results": [
    {
      "status": {
        "code": "ok",
        "message": "Success"
      },
      "name": "<name>",
      "md5": "<md5>",
      "width": <width>,
      "height": <height>,
      "entities": [
        {
          "kind": "image",
          "name": "<entity>",
          "image": "<image>",
          "format": "PNG",
          "representation": "base64"
        },
        {
          "kind": "objects",
          "name": "objects",
          "objects": [
            {
              "box": [
                <x>,
                <y>,
                <w>,
                <h>
              ],
              "entities": [
                {
                  "kind": "classes",
                  "name": "classes",
                  "classes": {
                    "opaque-content": 1.0
                  }
                }
              ]
            }
          ]
        }
      ]
    }
  ]
}
"""
FAILURE = """
{
  "results": [
    {
      "status": {
        "code": "failure",
        "message": "<message>"
      },
      "name": "<name>",
      "md5": "<md5>",
      "entities": []
    }
  ]
}
"""
# A PNG's first eleven bytes, and no line breaks to the end.
IMAGE = r"iVBORw0KGgoAAAA[A-Za-z0-9+/]+={0,2}"


def pattern_of(skeleton: str, **values: str) -> re.Pattern[str]:
    """Turn a documented answer into a pattern of its compact text; `image` is a pattern already."""
    text = compact_json(skeleton)
    pieces = re.split(r"<(\w+)>", text)
    literal, names = pieces[::2], pieces[1::2]
    filled = [IMAGE if name == "image" else re.escape(values[name]) for name in names]
    return re.compile(
        "".join(part for pair in zip(map(re.escape, literal), [*filled, ""], strict=True) for part in pair)
    )


@dataclass(frozen=True, slots=True)
class Photos:
    """The files of the documented commands, and what their answers must say."""

    folder: Path
    md5: str
    box: tuple[float, ...]

    def answer(self, entity: str) -> re.Pattern[str]:
        """Return the documented answer for img.jpg."""
        x, y, w, h = (json.dumps(float(share)) for share in self.box)
        return pattern_of(
            ANSWER,
            name="img.jpg",
            md5=self.md5,
            width="1024",
            height="768",
            entity=entity,
            x=x,
            y=y,
            w=w,
            h=h,
        )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Write img.jpg of the documented size, bg.png and bg.jpg."""
    folder = tmp_path_factory.mktemp("photos")
    img = known_picture(1, 768, 1024, is_jpeg=True)
    (folder / "img.jpg").write_bytes(img.content)
    (folder / "bg.png").write_bytes(png_bytes())
    (folder / "bg.jpg").write_bytes(jpeg_bytes())
    return Photos(folder, hashlib.md5(img.content).hexdigest(), tight_box(img.alpha))


def curl(rest: RestService, folder: Path, method: str, path: str, *arguments: str) -> tuple[int, str]:
    """Run a documented command against the gateway; returns the status and the body."""
    command = ["curl", "-sS", "-w", "\n%{http_code}", "-X", method, rest.url + path]
    command += ["-H", "X-RapidAPI-Key: ...", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG_S, check=True)
    body, _, status = ended.stdout.rpartition("\n")
    return int(status), body


def test_get_version(rest: RestService, photos: Photos) -> None:
    """The command for the version prints it and nothing more."""
    status, body = curl(rest, photos.folder, "GET", "/v1/version")

    assert status == 200
    assert re.fullmatch(r"v\d+\.\d+\.\d+", body)


def test_get_modes(rest: RestService, photos: Photos) -> None:
    """The command for the modes prints the documented array."""
    status, body = curl(rest, photos.folder, "GET", "/v1/modes")

    assert (status, compact_json(body)) == (200, '["fg-image","fg-image-shadow","fg-mask"]')


@pytest.mark.parametrize(
    ("query", "fields", "entity"),
    [
        pytest.param("", ["image=@img.jpg"], "general-fg-image", id="remove the background"),
        pytest.param("?mode=fg-mask", ["image=@img.jpg"], "general-fg-mask", id="the mask"),
        pytest.param(
            "?mode=fg-image-shadow",
            ["image=@img.jpg", "image-bg=@bg.png"],
            "general-fg-image-shadow",
            id="shadow and background",
        ),
        pytest.param("?mode=fg-image-shadow", ["image=@img.jpg"], "general-fg-image-shadow", id="shadow"),
        pytest.param(
            "", ["image=@img.jpg", "image-bg=@bg.jpg"], "general-fg-image", id="background as a file"
        ),
    ],
)
def test_a_file_answers_the_documented_json(
    rest: RestService, photos: Photos, query: str, fields: list[str], entity: str
) -> None:
    """Field by field, as text, for every documented command that sends a file."""
    forms = [word for field in fields for word in ("-F", field)]

    status, body = curl(rest, photos.folder, "POST", f"/v1/results{query}", *forms)

    assert status == 200
    assert photos.answer(entity).fullmatch(compact_json(body)), body[:600]


def test_a_url_answers_the_documented_json(rest: RestService, photos: Photos, site: PictureSite) -> None:
    """A picture given as a URL is named after the URL's last segment; the rest is as for a file."""
    url = site.hold("img.jpg", (photos.folder / "img.jpg").read_bytes())

    status, body = curl(rest, photos.folder, "POST", "/v1/results", "-F", f"url={url}")

    assert status == 200
    assert photos.answer("general-fg-image").fullmatch(compact_json(body)), body[:600]


def test_a_background_url_answers_the_documented_json(
    rest: RestService, photos: Photos, site: PictureSite
) -> None:
    """A background given as a URL changes nothing in the answer but the picture."""
    url = site.hold("bg.png", (photos.folder / "bg.png").read_bytes())

    status, body = curl(
        rest, photos.folder, "POST", "/v1/results", "-F", "image=@img.jpg", "-F", f"url-bg={url}"
    )

    assert status == 200
    assert photos.answer("general-fg-image").fullmatch(compact_json(body)), body[:600]


def test_an_unsupported_type_answers_the_documented_json(rest: RestService, photos: Photos) -> None:
    """The documented file.txt is empty, as its MD5 tells."""
    (photos.folder / "file.txt").write_bytes(b"")
    expected = pattern_of(
        FAILURE, message="Can not load image.", name="file.txt", md5="d41d8cd98f00b204e9800998ecf8427e"
    )

    status, body = curl(rest, photos.folder, "POST", "/v1/results", "-F", "image=@file.txt")

    assert status == 200
    assert expected.fullmatch(compact_json(body)), body


def test_a_resolution_too_big_answers_the_documented_json(rest: RestService, photos: Photos) -> None:
    """A photo of 6000x4000 is refused in the documented words."""
    path = photos.folder / "24mpx.jpg"
    Image.new("L", (6000, 4000), 128).save(path, "JPEG")
    expected = pattern_of(
        FAILURE,
        message="Resolution is too big: 6000x4000. Max allowed resolution: 4096x4096.",
        name="24mpx.jpg",
        md5=hashlib.md5(path.read_bytes()).hexdigest(),
    )

    status, body = curl(rest, photos.folder, "POST", "/v1/results", "-F", "image=@24mpx.jpg")

    assert status == 200
    assert expected.fullmatch(compact_json(body)), body


@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "chunked"])
def test_a_request_too_big_answers_the_documented_page(
    rest: RestService, photos: Photos, is_chunked: bool
) -> None:
    """curl reads the 413, whether it told the length beforehand or not."""
    path = photos.folder / "big.jpg"
    path.write_bytes(bytes(33 << 20))
    told = ["-H", "Transfer-Encoding: chunked"] if is_chunked else []

    status, body = curl(rest, photos.folder, "POST", "/v1/results", *told, "-F", "image=@big.jpg")

    assert status == 413
    assert "Error: Request Entity Too Large" in body
    assert "Your client issued a request that was too large." in body


def test_a_missing_image_answers_the_documented_json(rest: RestService, photos: Photos) -> None:
    """The documented 422, to the letter."""
    status, body = curl(rest, photos.folder, "POST", "/v1/results", "-F", "foo=bar")

    assert (status, body) == (422, '{"detail":"Missing image or url field."}')
