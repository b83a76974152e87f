"""Protobuf to plain data and back."""

import math
from typing import Any

import pytest

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut_server.batching.policy import Priority
from alphacut_server.errors import InvalidOption, SourceMissing
from alphacut_server.imaging.background import Fit
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.shadow_options import ShadowOptions, ShadowType
from alphacut_server.pipeline.types import (
    CutoutRequest,
    CutoutResult,
    Mode,
    Output,
    OutputImage,
    PictureBehind,
    Stage,
    StageTiming,
    Url,
)
from alphacut_server.settings import Profile
from alphacut_server.transport.convert import (
    FITS,
    FORMAT_VALUES,
    FORMATS,
    MODE_DESCRIPTIONS,
    MODES,
    PROFILES,
    SHADOW_TYPES,
    to_request,
    to_response,
)
from support.rpc import request_for

FILE = image_pb2.ImageSource(content=b"below")
URL = "https://a.example/b.png"


def converted(message: service_pb2.RemoveBackgroundRequest) -> CutoutRequest:
    """Return a message as the pipeline takes it."""
    return to_request(message, "somebody", Priority.BULK)


def changed(**fields: Any) -> service_pb2.RemoveBackgroundRequest:
    """Return a request for a cut-out, these fields set."""
    message = request_for(b"bytes", mode=options_pb2.MODE_FG_IMAGE)
    message.MergeFrom(service_pb2.RemoveBackgroundRequest(**fields))
    return message


def behind(**fields: Any) -> dict[str, Any]:
    """Return a background as a field of a request."""
    return {"background": options_pb2.Background(**fields)}


def output(**fields: Any) -> dict[str, Any]:
    """Return output options as a field of a request."""
    return {"output": options_pb2.OutputOptions(**fields)}


def shadow(**fields: Any) -> dict[str, Any]:
    """Return a shadow as a field of a request."""
    return {"shadow": options_pb2.Shadow(**fields)}


def crop(margin: float) -> dict[str, Any]:
    """Return a crop as a field of a request."""
    return output(crop=options_pb2.CropToSubject(margin=margin))


def answer(box: PixelBox | None, image: OutputImage | None = None) -> CutoutResult:
    """Return an answer of 200 x 100 px."""
    timings = (StageTiming(Stage.DECODE, 0.0015), StageTiming(Stage.INFERENCE, 1.25))
    image = image or OutputImage(b"png", OutputFormat.PNG, 100, 200)
    return CutoutResult(image, Mode.FG_MASK, 100, 200, box, "ab" * 16, "a.png", "fake", 7, timings)


def test_every_mode_of_the_proto_is_known_and_described() -> None:
    """A mode added to the proto must not be forgotten here."""
    values = set(options_pb2.Mode.values())

    assert set(MODES) == values
    assert set(MODE_DESCRIPTIONS) == values - {options_pb2.MODE_UNSPECIFIED}


def test_every_other_enum_of_the_proto_is_known() -> None:
    """Qualities, fits and formats, and each of ours has a name there."""
    assert set(PROFILES) == set(options_pb2.Quality.values())
    assert {profile for profile in PROFILES.values() if profile} == set(Profile)
    assert set(FITS) == set(options_pb2.BackgroundFit.values())
    assert set(FITS.values()) == set(Fit)
    assert set(SHADOW_TYPES) == set(options_pb2.ShadowType.values())
    assert set(SHADOW_TYPES.values()) == set(ShadowType)
    assert set(FORMATS) == set(image_pb2.ImageFormat.values())
    assert set(FORMATS.values()) == set(FORMAT_VALUES) == set(OutputFormat)


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
        ("quality", {"quality": 9}),
        ("image.name", {"image": image_pb2.ImageSource(content=b"x", name="n" * 1025)}),
        ("image.url", {"image": image_pb2.ImageSource(url="u" * 8193)}),
        ("background", behind()),
        ("background", behind(fit=options_pb2.BACKGROUND_FIT_COVER)),
        ("background.fit", behind(image=FILE, fit=77)),
        ("background.fit", behind(color="red", fit=77)),
        ("background.color", behind(color="")),
        ("background.color", behind(color="reddish")),
        ("background.image", behind(image=image_pb2.ImageSource())),
        ("background.image", behind(image=image_pb2.ImageSource(name="b.png"))),
        ("background.image", behind(image=image_pb2.ImageSource(url=""))),
        ("background.image.url", behind(image=image_pb2.ImageSource(url="u" * 8193))),
        ("background.image.name", behind(image=image_pb2.ImageSource(content=b"x", name="n" * 1025))),
        ("shadow.type", shadow(type=77)),
        ("shadow.direction_deg", shadow(direction_deg=-0.1)),
        ("shadow.direction_deg", shadow(direction_deg=360)),
        ("shadow.direction_deg", shadow(direction_deg=math.nan)),
        ("shadow.elevation_deg", shadow(elevation_deg=0)),
        ("shadow.elevation_deg", shadow(elevation_deg=90.1)),
        ("shadow.elevation_deg", shadow(elevation_deg=math.inf)),
        ("shadow.softness", shadow(softness=-0.1)),
        ("shadow.softness", shadow(softness=math.nan)),
        ("shadow.opacity", shadow(opacity=1.1)),
        ("shadow.opacity", shadow(opacity=-math.inf)),
        ("shadow.color", shadow(color="reddish")),
        ("shadow.color", shadow(color="#00000080")),
        ("shadow.color", shadow(color="transparent")),
        ("output.format", output(format=77)),
        ("output.crop.margin", crop(-0.01)),
        ("output.crop.margin", crop(1.01)),
        ("output.crop.margin", crop(math.nan)),
        ("output.crop.margin", crop(math.inf)),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_told_with_its_field(field: str, change: dict[str, Any]) -> None:
    """Enum numbers of a newer proto among them."""
    with pytest.raises(InvalidOption) as caught:
        converted(changed(**change))

    assert caught.value.field == field
    assert field.rsplit(".", maxsplit=1)[-1] in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        behind(),
        behind(color="reddish"),
        behind(image=FILE, fit=77),
        behind(image=image_pb2.ImageSource()),
        behind(image=image_pb2.ImageSource(url="u" * 8193)),
    ],
    ids=["empty", "colour", "fit", "no-picture", "long-url"],
)
def test_a_mask_s_background_must_be_well_formed_all_the_same(change: dict[str, Any]) -> None:
    """A mistake in a call is told whatever mode it asks for."""
    with pytest.raises(InvalidOption):
        converted(changed(**change, mode=options_pb2.MODE_FG_MASK))


@pytest.mark.parametrize(
    "change",
    [
        behind(color="red"),
        behind(image=FILE),
        behind(image=image_pb2.ImageSource(url=URL)),
    ],
    ids=["colour", "file", "url"],
)
def test_a_mask_has_no_background(change: dict[str, Any]) -> None:
    """It is dropped here, so that nobody reads or fetches the picture."""
    assert converted(changed(**change, mode=options_pb2.MODE_FG_MASK)).background is None


@pytest.mark.parametrize(
    ("change", "background"),
    [
        ({}, None),
        (behind(color="#01020304"), Colour(1, 2, 3, 4)),
        (behind(color="Red", fit=options_pb2.BACKGROUND_FIT_COVER), Colour(255, 0, 0)),
        (behind(image=FILE), PictureBehind(b"below", Fit.NONE)),
        (behind(image=image_pb2.ImageSource(content=b"")), PictureBehind(b"", Fit.NONE)),
        (
            behind(image=image_pb2.ImageSource(url=URL), fit=options_pb2.BACKGROUND_FIT_STRETCH),
            PictureBehind(Url(URL), Fit.STRETCH),
        ),
    ],
    ids=["none", "colour", "colour-with-fit", "file", "empty-file", "url"],
)
def test_a_background_is_a_colour_a_file_or_a_url(
    change: dict[str, Any], background: Colour | PictureBehind | None
) -> None:
    """An empty file is a file, and a bad one; unset, the fit is none."""
    assert converted(changed(**change)).background == background


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ({}, Output()),
        (output(), Output()),
        (output(format=image_pb2.IMAGE_FORMAT_PNG), Output(OutputFormat.PNG)),
        (output(format=image_pb2.IMAGE_FORMAT_WEBP), Output(OutputFormat.WEBP)),
        (output(format=image_pb2.IMAGE_FORMAT_JPEG), Output(OutputFormat.JPEG)),
        (output(crop=options_pb2.CropToSubject()), Output(crop_margin=0.0)),
        (crop(0.25), Output(crop_margin=0.25)),
        (crop(1.0), Output(crop_margin=1.0)),
    ],
    ids=["unset", "empty", "png", "webp", "jpeg", "crop", "margin", "largest-margin"],
)
def test_the_output_is_what_was_asked_for(change: dict[str, Any], made: Output) -> None:
    """An empty crop is a crop without margin."""
    assert converted(changed(**change)).output == made


@pytest.mark.parametrize(
    ("quality", "profile"),
    [
        (options_pb2.QUALITY_UNSPECIFIED, None),
        (options_pb2.QUALITY_FAST, Profile.FAST),
        (options_pb2.QUALITY_BALANCED, Profile.BALANCED),
        (options_pb2.QUALITY_BEST, Profile.BEST),
    ],
)
def test_a_quality_is_a_profile(quality: int, profile: Profile | None) -> None:
    """Whether it is served is the pipeline's to know."""
    assert converted(changed(quality=quality)).profile is profile


def test_a_url_is_kept_as_it_is() -> None:
    """Whether it can be fetched is the fetcher's to know."""
    message = service_pb2.RemoveBackgroundRequest(image=image_pb2.ImageSource(url="u" * 8192, name="n"))

    request = converted(message)

    assert (request.source, request.name) == (Url("u" * 8192), "n")


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({}, ShadowOptions()),
        (shadow(), ShadowOptions()),
        (shadow(type=options_pb2.SHADOW_TYPE_FLOAT), ShadowOptions(ShadowType.FLOAT)),
        (shadow(direction_deg=0), ShadowOptions(direction_deg=0.0)),
        (shadow(elevation_deg=90), ShadowOptions(elevation_deg=90.0)),
        (shadow(softness=0), ShadowOptions(softness=0.0)),
        (shadow(opacity=0), ShadowOptions(opacity=0.0)),
        (shadow(color="Navy"), ShadowOptions(colour=Colour(0, 0, 128))),
    ],
    ids=["unset", "empty", "type", "direction", "elevation", "softness", "opacity", "colour"],
)
def test_a_shadow_falls_as_asked_for(change: dict[str, Any], options: ShadowOptions) -> None:
    """What is unset is the default, 0 is not unset."""
    assert converted(changed(**change, mode=options_pb2.MODE_FG_IMAGE_SHADOW)).shadow == options


@pytest.mark.parametrize("mode", options_pb2.Mode.values())
def test_a_shadow_must_be_right_in_every_mode(mode: int) -> None:
    """A mistake in a call is told whatever mode it asks for; a right one is taken in all of them."""
    assert converted(changed(**shadow(opacity=0.5), mode=mode)).shadow == ShadowOptions(opacity=0.5)
    with pytest.raises(InvalidOption):
        converted(changed(**shadow(opacity=1.5), mode=mode))


@pytest.mark.parametrize(
    "image",
    [image_pb2.ImageSource(), image_pb2.ImageSource(name="photo.jpg"), image_pb2.ImageSource(url="")],
    ids=["nothing", "name", "empty-url"],
)
def test_a_request_without_a_picture_says_so(image: image_pb2.ImageSource) -> None:
    """A name alone is none, and an empty URL leads nowhere."""
    with pytest.raises(SourceMissing):
        converted(service_pb2.RemoveBackgroundRequest(image=image))


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


def test_a_cropped_answer_tells_its_own_size_beside_the_picture_s() -> None:
    """The box stays relative to the picture that came in."""
    image = OutputImage(b"webp", OutputFormat.WEBP, 30, 40)

    response = to_response(answer(PixelBox(x=50, y=10, width=40, height=30), image))

    assert response.image == image_pb2.OutputImage(
        content=b"webp", format=image_pb2.IMAGE_FORMAT_WEBP, width=40, height=30
    )
    assert (response.width, response.height) == (200, 100)
    assert (response.objects[0].box.x, response.objects[0].box.height) == (0.25, 0.3)
