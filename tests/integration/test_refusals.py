"""What callers are told when a call cannot be served, over the wire."""

import hashlib
import math
from collections.abc import Callable

import grpc
import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from support.images import small_png
from support.pictures import PNG_SIGNATURE, ihdr, png_bytes, png_chunk
from support.rpc import REQUEST_ID_KEY, Failure, failure_of, request_for
from support.server import ServerProcess

pytestmark = pytest.mark.timeout(30)

Code = grpc.StatusCode
NOT_A_PICTURE = b"%PDF-1.7 no picture at all"
Change = Callable[[service_pb2.RemoveBackgroundRequest], object]


def refused(
    stub: BackgroundRemovalServiceStub, request: service_pb2.RemoveBackgroundRequest, timeout_s: float = 20.0
) -> Failure:
    """Send a request that must fail, and return why it did."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.RemoveBackground(request, timeout=timeout_s)
    return failure_of(caught.value)


@pytest.mark.parametrize(
    "content",
    [NOT_A_PICTURE, b"", png_bytes()[:-4000], b"GIF89a" + bytes(40)],
    ids=["pdf", "empty", "cut", "gif"],
)
def test_unloadable_bytes_are_the_caller_s_fault(
    emulated_stub: BackgroundRemovalServiceStub, content: bytes
) -> None:
    """The picture is named by name and MD5, so that a batch job can tell which one it was."""
    failure = refused(emulated_stub, request_for(content, name="scan.pdf"))

    assert (failure.code, failure.reason, failure.domain) == (
        Code.INVALID_ARGUMENT,
        "IMAGE_NOT_LOADABLE",
        "alphacut",
    )
    assert set(failure.metadata) == {"md5", "name"}
    assert failure.metadata["name"] == "scan.pdf"
    assert len(failure.metadata["md5"]) == 32


def test_a_long_name_of_wide_characters_survives_in_the_details(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """Trailing metadata has room for the longest name there may be."""
    name = "\U0001f5bc" * 1024

    failure = refused(emulated_stub, request_for(NOT_A_PICTURE, name=name))

    assert failure.metadata["name"] == name


@pytest.mark.parametrize(("width", "height"), [(5000, 100), (100, 4097)])
def test_too_many_pixels_are_refused_by_the_header_alone(
    emulated_stub: BackgroundRemovalServiceStub, width: int, height: int
) -> None:
    """No pixel is decoded: the file holds none that could be."""
    no_pixels = png_chunk(b"IDAT", b"none") + png_chunk(b"IEND")

    failure = refused(
        emulated_stub, request_for(PNG_SIGNATURE + ihdr(width, height) + no_pixels, name="wide.png")
    )

    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "RESOLUTION_TOO_BIG")
    sizes = {key: failure.metadata[key] for key in ("width", "height", "limit")}
    assert sizes == {"width": str(width), "height": str(height), "limit": "4096"}
    assert failure.metadata["name"] == "wide.png"


def test_a_file_of_16_mib_is_too_large(emulated_stub: BackgroundRemovalServiceStub) -> None:
    """The limit is the first size that is refused."""
    content = PNG_SIGNATURE + bytes((16 << 20) - len(PNG_SIGNATURE))

    failure = refused(emulated_stub, request_for(content))

    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "IMAGE_TOO_LARGE")
    assert failure.metadata["size"] == failure.metadata["limit"] == str(16 << 20)


def test_a_message_beyond_32_mib_is_refused_by_grpc_itself(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """It never reaches the service, so it carries no details: that is how a caller tells it from overload."""
    failure = refused(emulated_stub, request_for(bytes(33 << 20)))

    assert failure.code is Code.RESOURCE_EXHAUSTED
    assert failure.kinds == ()


def test_a_request_without_a_picture_says_so(emulated_stub: BackgroundRemovalServiceStub) -> None:
    """Nothing set at all, or a name alone."""
    for request in (
        service_pb2.RemoveBackgroundRequest(),
        service_pb2.RemoveBackgroundRequest(image=image_pb2.ImageSource(name="photo.jpg")),
    ):
        failure = refused(emulated_stub, request)

        assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "SOURCE_MISSING")


def test_a_shadow_s_details_are_named_when_they_are_wrong(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """INVALID_ARGUMENT with the field, although the rest of the request is fine and its mode has no shadow."""
    request = request_for(small_png(1))
    request.shadow.elevation_deg = 91

    failure = refused(emulated_stub, request)

    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "INVALID_OPTION")
    assert failure.metadata == {"field": "shadow.elevation_deg"}
    assert "more than 0 and at most 90" in failure.message


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("mode", lambda request: setattr(request, "mode", 9)),
        ("priority", lambda request: setattr(request, "priority", 9)),
        ("quality", lambda request: setattr(request, "quality", 9)),
        ("quality", lambda request: setattr(request, "quality", options_pb2.QUALITY_BEST)),
        ("image.name", lambda request: setattr(request.image, "name", "n" * 1025)),
        ("image.url", lambda request: setattr(request.image, "url", "u" * 8193)),
        ("background", lambda request: request.background.SetInParent()),
        ("background.color", lambda request: setattr(request.background, "color", "reddish")),
        ("background.image", lambda request: request.background.image.SetInParent()),
        ("output.format", lambda request: setattr(request.output, "format", 77)),
        ("output.crop.margin", lambda request: setattr(request.output.crop, "margin", 1.5)),
        ("output.crop.margin", lambda request: setattr(request.output.crop, "margin", math.nan)),
    ],
)
def test_values_out_of_range_name_their_field(
    emulated_stub: BackgroundRemovalServiceStub, field: str, change: Change
) -> None:
    """BadRequest points at it."""
    request = request_for(small_png(1))
    change(request)

    failure = refused(emulated_stub, request)

    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "INVALID_OPTION")
    assert failure.fields == (field,)


def test_a_quality_that_is_not_served_tells_those_that_are(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """The server runs one model, under the profile it was started with."""
    request = request_for(small_png(1))
    request.quality = options_pb2.QUALITY_BEST

    failure = refused(emulated_stub, request)

    assert "these are: fast" in failure.message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (NOT_A_PICTURE, "BACKGROUND_NOT_LOADABLE"),
        (b"", "BACKGROUND_NOT_LOADABLE"),
        (png_bytes()[:-4000], "BACKGROUND_NOT_LOADABLE"),
        (PNG_SIGNATURE + ihdr(4097, 1) + png_chunk(b"IDAT") + png_chunk(b"IEND"), "BACKGROUND_NOT_LOADABLE"),
        (bytes(16 << 20), "IMAGE_TOO_LARGE"),
    ],
    ids=["pdf", "empty", "cut", "wide", "heavy"],
)
def test_a_background_that_cannot_be_used_is_told_with_the_main_picture_s_name(
    emulated_stub: BackgroundRemovalServiceStub, content: bytes, reason: str
) -> None:
    """A caller's books are kept by the main picture; metadata tells the field where the reason leaves it open."""
    picture = small_png(1)
    request = request_for(picture, mode=options_pb2.MODE_FG_IMAGE, name="main.png")
    request.background.image.MergeFrom(image_pb2.ImageSource(content=content, name="below.png"))

    failure = refused(emulated_stub, request)

    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, reason)
    assert failure.metadata["name"] == "main.png"
    assert failure.metadata["md5"] == hashlib.md5(picture, usedforsecurity=False).hexdigest()
    if reason == "IMAGE_TOO_LARGE":
        assert failure.metadata["field"] == "background.image"
        assert failure.metadata["size"] == str(16 << 20)


@pytest.mark.parametrize(
    "url",
    ["", "photo.jpg", "ftp://a.example/b.png", "http://127.0.0.1:1/b.png", "http://[::1/b.png"],
    ids=["empty", "no-url", "scheme", "not-public", "broken"],
)
def test_a_url_that_cannot_be_fetched_is_told_without_a_cause(
    emulated_stub: BackgroundRemovalServiceStub, url: str
) -> None:
    """One sentence for every cause; an empty URL is a missing picture."""
    request = service_pb2.RemoveBackgroundRequest(image=image_pb2.ImageSource(url=url))

    failure = refused(emulated_stub, request)

    if not url:
        assert failure.reason == "SOURCE_MISSING"
        return
    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "URL_NOT_FETCHED")
    assert failure.message == "The picture could not be fetched from its URL."
    assert failure.metadata["md5"] == hashlib.md5(usedforsecurity=False).hexdigest()
    assert failure.metadata["name"] in ("photo.jpg", "b.png", "")


def test_an_unknown_model_is_named_in_short(emulated_stub: BackgroundRemovalServiceStub) -> None:
    """However long a name was sent."""
    failure = refused(emulated_stub, request_for(small_png(1), model="u3net" * 1000))

    assert (failure.code, failure.reason) == (Code.INVALID_ARGUMENT, "UNKNOWN_MODEL")
    assert len(failure.metadata["model"]) == 64
    assert "ListModels" in failure.message


def test_a_deadline_that_cannot_be_met_costs_no_device_time(
    emulated_server: ServerProcess, emulated_stub: BackgroundRemovalServiceStub
) -> None:
    """It has passed when the call arrives, or less is left of it than a batch takes: the call is refused at once."""
    before = emulated_server.metrics().get("alphacut_batch_size_sum", 0)

    failures = [
        refused(emulated_stub, request_for(small_png(1)), timeout_s=timeout_s) for timeout_s in (1e-9, 1e-4)
    ]

    assert {failure.code for failure in failures} == {Code.DEADLINE_EXCEEDED}
    assert emulated_server.metrics().get("alphacut_batch_size_sum", 0) == before


def test_the_caller_s_request_id_comes_back_with_answers_and_refusals(
    emulated_stub: BackgroundRemovalServiceStub,
) -> None:
    """One id runs through the caller's log and ours."""
    metadata = ((REQUEST_ID_KEY, "order-4711"),)

    _, call = emulated_stub.RemoveBackground.with_call(request_for(small_png(1)), metadata=metadata)
    with pytest.raises(grpc.RpcError) as caught:
        emulated_stub.RemoveBackground(request_for(NOT_A_PICTURE), metadata=metadata)

    assert (REQUEST_ID_KEY, "order-4711") in [tuple(pair) for pair in call.trailing_metadata()]
    assert failure_of(caught.value).request_id == "order-4711"


@pytest.mark.parametrize("offered", ["two words", "x" * 65, ""])
def test_a_request_id_that_would_harm_a_log_is_replaced(
    emulated_stub: BackgroundRemovalServiceStub, offered: str
) -> None:
    """The caller gets another one to quote."""
    with pytest.raises(grpc.RpcError) as caught:
        emulated_stub.RemoveBackground(request_for(NOT_A_PICTURE), metadata=((REQUEST_ID_KEY, offered),))

    request_id = failure_of(caught.value).request_id
    assert request_id
    assert request_id != offered
