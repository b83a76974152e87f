"""Protobuf to plain data and back."""

from typing import Any

import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut_server.batching.policy import Priority
from alphacut_server.errors import InvalidOption, NotImplementedYet, SourceMissing
from alphacut_server.imaging.box import PixelBox
from alphacut_server.pipeline.types import CutoutRequest, CutoutResult, Mode, Stage, StageTiming
from alphacut_server.transport.convert import MODE_DESCRIPTIONS, MODES, to_request, to_response
from support.rpc import request_for


def converted(message: service_pb2.RemoveBackgroundRequest) -> CutoutRequest:
    """Return a message as the pipeline takes it."""
    return to_request(message, "somebody", Priority.BULK)


def answer(box: PixelBox | None) -> CutoutResult:
    """Return an answer of 200 x 100 px."""
    timings = (StageTiming(Stage.DECODE, 0.0015), StageTiming(Stage.INFERENCE, 1.25))
    return CutoutResult(b"png", Mode.FG_MASK, 100, 200, box, "ab" * 16, "a.png", "fake", 7, timings)


def test_every_mode_of_the_proto_is_known_and_described() -> None:
    """A mode added to the proto must not be forgotten here."""
    values = set(options_pb2.Mode.values())

    assert set(MODES) == values
    assert set(MODE_DESCRIPTIONS) == values - {options_pb2.MODE_UNSPECIFIED}


def test_a_request_keeps_what_the_caller_said() -> None:
    """Content, name, mode, model, and whom it counts against."""
    request = converted(request_for(b"bytes", mode=options_pb2.MODE_FG_IMAGE_SHADOW, name="n", model="m"))

    assert request == CutoutRequest(b"bytes", "n", Mode.FG_IMAGE_SHADOW, "m", Priority.BULK, "somebody")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (options_pb2.PRIORITY_UNSPECIFIED, Priority.BULK),
        (options_pb2.PRIORITY_INTERACTIVE, Priority.INTERACTIVE),
        (options_pb2.PRIORITY_BULK, Priority.BULK),
    ],
)
def test_an_unset_priority_is_the_method_s_own(
    said: "options_pb2.Priority.ValueType", meant: Priority
) -> None:
    """Streams are bulk, single calls interactive, unless the caller says otherwise."""
    message = request_for(b"bytes")
    message.priority = said

    assert converted(message).priority is meant


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("mode", {"mode": 9}),
        ("priority", {"priority": 9}),
        ("image.name", {"image": image_pb2.ImageSource(content=b"x", name="n" * 1025)}),
    ],
)
def test_a_value_out_of_range_is_told_with_its_field(field: str, change: dict[str, Any]) -> None:
    """Enum numbers of a newer proto among them."""
    message = request_for(b"bytes")
    message.MergeFrom(service_pb2.RemoveBackgroundRequest(**change))

    with pytest.raises(InvalidOption) as caught:
        converted(message)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("background", {"background": options_pb2.Background()}),
        ("shadow", {"shadow": options_pb2.Shadow()}),
        ("output.format", {"output": options_pb2.OutputOptions(format=image_pb2.IMAGE_FORMAT_JPEG)}),
        ("output.crop", {"output": options_pb2.OutputOptions(crop=options_pb2.CropToSubject())}),
    ],
)
def test_a_field_that_is_not_served_is_told_even_when_it_is_empty(field: str, change: dict[str, Any]) -> None:
    """Set is set."""
    message = request_for(b"bytes")
    message.MergeFrom(service_pb2.RemoveBackgroundRequest(**change))

    with pytest.raises(NotImplementedYet) as caught:
        converted(message)

    assert caught.value.field == field


def test_an_empty_url_is_a_url_all_the_same() -> None:
    """It was set, so it is named and not taken for a missing picture."""
    message = service_pb2.RemoveBackgroundRequest(image=image_pb2.ImageSource(url=""))

    with pytest.raises(NotImplementedYet) as caught:
        converted(message)

    assert caught.value.field == "image.url"


def test_what_is_not_served_is_told_before_what_is_missing() -> None:
    """A caller who sets a future field learns of that first."""
    message = service_pb2.RemoveBackgroundRequest(quality=options_pb2.QUALITY_BEST)

    with pytest.raises(NotImplementedYet):
        converted(message)
    message.quality = options_pb2.QUALITY_UNSPECIFIED
    with pytest.raises(SourceMissing):
        converted(message)


def test_the_box_is_relative_to_the_picture() -> None:
    """Shares of width and height, so that a caller who scales the picture keeps it."""
    response = to_response(answer(PixelBox(x=50, y=10, width=100, height=40)))

    (found,) = response.objects
    assert (found.box.x, found.box.y, found.box.width, found.box.height) == (0.25, 0.1, 0.5, 0.4)


def test_without_a_subject_there_are_no_objects() -> None:
    """None, not an empty box."""
    assert list(to_response(answer(None)).objects) == []


def test_an_answer_carries_everything_known() -> None:
    """Bytes, sizes, name, checksum, model, batch and times."""
    response = to_response(answer(None))

    assert response.image == image_pb2.OutputImage(
        content=b"png", format=image_pb2.IMAGE_FORMAT_PNG, width=200, height=100
    )
    assert (response.width, response.height, response.name) == (200, 100, "a.png")
    assert (response.md5, response.model, response.batch_size) == ("ab" * 16, "fake", 7)
    times = [(timing.stage, timing.duration.ToNanoseconds()) for timing in response.timings]
    assert times == [("decode", 1_500_000), ("inference", 1_250_000_000)]
