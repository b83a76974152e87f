"""Pictures that cannot be cut: 200, `failure`, the exact words, and the documented keys alone."""

import hashlib
import io
import json

import grpc
import pytest
from PIL import Image

from support.fake_service import FakeServer, fail, make_status
from support.images import KnownPicture
from support.pictures import PNG_SIGNATURE, gradient, jpeg_bytes, png_bytes, undecodable_png
from support.rest import MULTIPART, RESULTS, RestService, image_part, multipart, request, running_gateway

MIB = 1 << 20
NOT_LOADABLE = "Can not load image."


def failure_text(message: str, name: str, content: bytes) -> str:
    """Return the whole answer as compact JSON."""
    md5 = hashlib.md5(content).hexdigest()
    status = {"code": "failure", "message": message}
    answer = {"results": [{"status": status, "name": name, "md5": md5, "entities": []}]}
    return json.dumps(answer, separators=(",", ":"))


def encoded(kind: str) -> bytes:
    """Return a whole picture of a type that is not served."""
    buffer = io.BytesIO()
    Image.fromarray(gradient(24, 32)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"words", id="text"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', id="SVG"),
        pytest.param(encoded("WEBP"), id="WebP"),
        pytest.param(encoded("GIF"), id="GIF"),
        pytest.param(encoded("BMP"), id="BMP"),
        pytest.param(encoded("TIFF"), id="TIFF"),
        pytest.param(jpeg_bytes()[:5000], id="truncated JPEG"),
        pytest.param(png_bytes(gradient(24, 32))[:-20], id="truncated PNG"),
        pytest.param(jpeg_bytes()[:3], id="three bytes of a JPEG"),
        pytest.param(PNG_SIGNATURE, id="a PNG's signature"),
        pytest.param(b" " + jpeg_bytes(), id="a byte before the JPEG"),
        pytest.param(png_bytes(gradient(24, 32)).replace(b"IDAT\x78", b"IDAT\x00", 1), id="corrupt PNG"),
    ],
)
@pytest.mark.parametrize("mode", ["fg-image", "fg-mask"])
def test_what_is_no_jpeg_or_png_can_not_be_loaded(rest: RestService, content: bytes, mode: str) -> None:
    """By its bytes, whatever name and type say, in every mode: the whole answer as text."""
    reply = rest.post(image_part(content, "file.jpg"), path=f"{RESULTS}?mode={mode}")

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.compact == failure_text(NOT_LOADABLE, "file.jpg", content)


@pytest.mark.parametrize(("width", "height"), [(4097, 8), (8, 4097), (6000, 4000), (70_000, 1)])
def test_over_4096_is_too_big_by_the_header_alone(rest: RestService, width: int, height: int) -> None:
    """Decided before decoding: a PNG whose pixels are nonsense gets the same words."""
    content = undecodable_png(width, height)

    reply = rest.post(image_part(content, "24mpx.png"))

    message = f"Resolution is too big: {width}x{height}. Max allowed resolution: 4096x4096."
    assert reply.status == 200
    assert reply.compact == failure_text(message, "24mpx.png", content)


@pytest.mark.parametrize(("width", "height"), [(4096, 16), (16, 4096)])
def test_4096_is_allowed(rest: RestService, width: int, height: int) -> None:
    """The limit itself is within it, in either direction."""
    result = rest.post(image_part(png_bytes(gradient(height, width)))).result

    assert (result.code, result.width, result.height) == ("ok", width, height)


@pytest.mark.parametrize(("size", "told"), [(16 * MIB, "16.0"), (17_300_000, "16.5"), (20 * MIB, "20.0")])
def test_a_file_of_16_mib_is_too_big(rest: RestService, size: int, told: str) -> None:
    """Less than 16 MiB is the rule; the size is told in MiB with one decimal."""
    content = jpeg_bytes().ljust(size, b"\0")

    reply = rest.post(image_part(content, "big.jpg"))

    message = f"File size is too big: {told}Mb. Max allowed size: 16Mb."
    assert reply.status == 200
    assert reply.compact == failure_text(message, "big.jpg", content)


def test_a_byte_less_than_16_mib_is_allowed(rest: RestService, picture: KnownPicture) -> None:
    """The largest file there may be is cut."""
    content = picture.content.ljust(16 * MIB - 1, b"\0")

    result = rest.post(image_part(content)).result

    assert (result.code, result.md5) == ("ok", hashlib.md5(content).hexdigest())


@pytest.mark.parametrize("content", [jpeg_bytes(), png_bytes(gradient(24, 32))], ids=["jpeg", "png"])
def test_what_follows_the_picture_is_ignored(rest: RestService, content: bytes) -> None:
    """Bytes after a JPEG's EOI or a PNG's IEND change the MD5 and nothing else."""
    plain = rest.post(image_part(content)).result

    result = rest.post(image_part(content + b"\0trailing" * 99)).result

    assert result.image == plain.image
    assert result.boxes == plain.boxes


def test_raw_bytes_asked_for_fail_as_json(rest: RestService) -> None:
    """Whoever wants a PNG and sends none is told so as everybody else."""
    content = b"words"

    reply = rest.post(image_part(content, "file.txt"), headers={"Accept": "image/png"})

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.compact == failure_text(NOT_LOADABLE, "file.txt", content)


def test_an_internal_fault_is_a_failed_result(picture: KnownPicture) -> None:
    """A server that breaks on a picture is `Processing failed`, without a word of why."""
    fault = make_status(grpc.StatusCode.INTERNAL, "Stack of secrets.", reason="INTERNAL", request_id="4711")
    with FakeServer() as server, running_gateway(server.target) as gateway:
        server.service.script.append(fail(fault))

        reply = request(
            gateway.address, "POST", RESULTS, multipart(image_part(picture.content, "img.jpg")), MULTIPART
        )

    assert reply.status == 200
    assert reply.compact == failure_text("Processing failed", "img.jpg", picture.content)
