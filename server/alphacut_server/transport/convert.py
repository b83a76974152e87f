"""Protobuf ↔ the pipeline's plain data. A value out of range is refused by its field's name, whatever the mode."""

import math
from dataclasses import replace

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut_server.batching.policy import Priority
from alphacut_server.errors import InvalidOption, SourceMissing
from alphacut_server.imaging.background import Fit
from alphacut_server.imaging.box import PixelBox
from alphacut_server.imaging.colour_names import Colour, parse_colour
from alphacut_server.imaging.encode import OutputFormat
from alphacut_server.imaging.shadow_options import (
    BLACK,
    DEFAULT_SHADOW,
    DIRECTION_DEG,
    ELEVATION_DEG,
    SHARE,
    Range,
    ShadowOptions,
    ShadowType,
)
from alphacut_server.pipeline.types import (
    AS_IT_IS,
    MAX_NAME_LENGTH,
    CutoutRequest,
    CutoutResult,
    Mode,
    Output,
    PictureBehind,
    Source,
    Url,
)
from alphacut_server.settings import Profile

MAX_URL_LENGTH = 8192

MODES = {
    options_pb2.MODE_UNSPECIFIED: Mode.FG_IMAGE,
    options_pb2.MODE_FG_IMAGE: Mode.FG_IMAGE,
    options_pb2.MODE_FG_MASK: Mode.FG_MASK,
    options_pb2.MODE_FG_IMAGE_SHADOW: Mode.FG_IMAGE_SHADOW,
}

MODE_DESCRIPTIONS = {
    options_pb2.MODE_FG_IMAGE: "The foreground over transparency, RGBA.",
    options_pb2.MODE_FG_IMAGE_SHADOW: "The foreground with a soft shadow under it, RGBA.",
    options_pb2.MODE_FG_MASK: "The foreground's alpha, one grey channel, 255 is foreground.",
}

PRIORITIES = {
    options_pb2.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    options_pb2.PRIORITY_BULK: Priority.BULK,
}

PROFILES = {
    options_pb2.QUALITY_UNSPECIFIED: None,
    options_pb2.QUALITY_FAST: Profile.FAST,
    options_pb2.QUALITY_BALANCED: Profile.BALANCED,
    options_pb2.QUALITY_BEST: Profile.BEST,
}

SHADOW_TYPES = {
    options_pb2.SHADOW_TYPE_UNSPECIFIED: ShadowType.AUTO,
    options_pb2.SHADOW_TYPE_AUTO: ShadowType.AUTO,
    options_pb2.SHADOW_TYPE_CONTACT: ShadowType.CONTACT,
    options_pb2.SHADOW_TYPE_CAST: ShadowType.CAST,
    options_pb2.SHADOW_TYPE_DROP: ShadowType.DROP,
    options_pb2.SHADOW_TYPE_FLOAT: ShadowType.FLOAT,
}

FITS = {
    options_pb2.BACKGROUND_FIT_UNSPECIFIED: Fit.NONE,
    options_pb2.BACKGROUND_FIT_NONE: Fit.NONE,
    options_pb2.BACKGROUND_FIT_COVER: Fit.COVER,
    options_pb2.BACKGROUND_FIT_CONTAIN: Fit.CONTAIN,
    options_pb2.BACKGROUND_FIT_STRETCH: Fit.STRETCH,
}

FORMATS = {
    image_pb2.IMAGE_FORMAT_UNSPECIFIED: OutputFormat.PNG,
    image_pb2.IMAGE_FORMAT_PNG: OutputFormat.PNG,
    image_pb2.IMAGE_FORMAT_WEBP: OutputFormat.WEBP,
    image_pb2.IMAGE_FORMAT_JPEG: OutputFormat.JPEG,
}

FORMAT_VALUES = {
    OutputFormat.PNG: image_pb2.IMAGE_FORMAT_PNG,
    OutputFormat.WEBP: image_pb2.IMAGE_FORMAT_WEBP,
    OutputFormat.JPEG: image_pb2.IMAGE_FORMAT_JPEG,
}


def to_request(
    message: service_pb2.RemoveBackgroundRequest, client: str, default_priority: Priority
) -> CutoutRequest:
    """Return the call as the pipeline takes it. Raises SourceMissing, InvalidOption."""
    if not _has_source(message.image, "image"):
        raise SourceMissing("The request holds no picture: set image.content or image.url.")
    if message.mode not in MODES:
        raise InvalidOption("mode", f"mode {message.mode} is unknown; ListModes names them.")
    if message.priority != options_pb2.PRIORITY_UNSPECIFIED and message.priority not in PRIORITIES:
        raise InvalidOption("priority", f"priority {message.priority} is unknown.")
    if message.quality not in PROFILES:
        raise InvalidOption("quality", f"quality {message.quality} is unknown.")
    mode = MODES[message.mode]
    return CutoutRequest(
        source=_to_source(message.image),
        name=message.image.name,
        mode=mode,
        model=message.model,
        priority=PRIORITIES.get(message.priority, default_priority),
        client=client,
        profile=PROFILES[message.quality],
        background=_to_background(message.background, mode) if message.HasField("background") else None,
        output=_to_output(message.output) if message.HasField("output") else AS_IT_IS,
        shadow=_to_shadow(message.shadow) if message.HasField("shadow") else DEFAULT_SHADOW,
    )


def _has_source(image: image_pb2.ImageSource, field: str) -> bool:
    """Tell whether there is a file, even an empty one, or a URL that is not empty. Raises InvalidOption."""
    if len(image.name) > MAX_NAME_LENGTH:
        raise InvalidOption(f"{field}.name", f"{field}.name may have at most {MAX_NAME_LENGTH} characters.")
    if len(image.url) > MAX_URL_LENGTH:
        raise InvalidOption(f"{field}.url", f"{field}.url may have at most {MAX_URL_LENGTH} characters.")
    return image.HasField("content") or bool(image.url)


def _to_source(image: image_pb2.ImageSource) -> Source:
    return image.content if image.HasField("content") else Url(image.url)


def _to_background(background: options_pb2.Background, mode: Mode) -> Colour | PictureBehind | None:
    """Return what lies behind; None for a mask, whose background's file is not even read, though its options must be right."""
    if background.fit not in FITS:
        raise InvalidOption("background.fit", f"background.fit {background.fit} is unknown.")
    colour = _to_colour(background.color, "background.color") if background.HasField("color") else None
    if colour is None:
        if not background.HasField("image"):
            raise InvalidOption(
                "background", "background is empty: set background.image or background.color."
            )
        if not _has_source(background.image, "background.image"):
            raise InvalidOption(
                "background.image",
                "background.image holds no picture: set background.image.content or background.image.url.",
            )
    if mode is Mode.FG_MASK:
        return None
    return colour or PictureBehind(_to_source(background.image), FITS[background.fit])


def _to_colour(text: str, field: str) -> Colour:
    try:
        return parse_colour(text)
    except ValueError:
        raise InvalidOption(
            field, f"{field} must be #rgb, #rrggbb, #rrggbbaa or the name of a CSS colour."
        ) from None


def _to_shadow(shadow: options_pb2.Shadow) -> ShadowOptions:
    """Return how the shadow falls. Its options must be right in every mode, though only one has a shadow."""
    if shadow.type not in SHADOW_TYPES:
        raise InvalidOption("shadow.type", f"shadow.type {shadow.type} is unknown.")
    direction_deg = None
    if shadow.HasField("direction_deg"):
        direction_deg = _checked(shadow.direction_deg, "shadow.direction_deg", DIRECTION_DEG)
    chosen = DEFAULT_SHADOW
    if shadow.HasField("elevation_deg"):
        elevation_deg = _checked(shadow.elevation_deg, "shadow.elevation_deg", ELEVATION_DEG)
        chosen = replace(chosen, elevation_deg=elevation_deg)
    if shadow.HasField("softness"):
        chosen = replace(chosen, softness=_checked(shadow.softness, "shadow.softness", SHARE))
    if shadow.HasField("opacity"):
        chosen = replace(chosen, opacity=_checked(shadow.opacity, "shadow.opacity", SHARE))
    colour = _to_colour(shadow.color, "shadow.color") if shadow.color else BLACK
    if colour.alpha != 255:
        raise InvalidOption(
            "shadow.color", "shadow.color must be opaque; shadow.opacity says how much of it shows."
        )
    return replace(chosen, type=SHADOW_TYPES[shadow.type], direction_deg=direction_deg, colour=colour)


def _checked(value: float, field: str, allowed: Range) -> float:
    if not allowed.holds(value):
        raise InvalidOption(field, f"{field} must be {allowed}.")
    return value


def _to_output(output: options_pb2.OutputOptions) -> Output:
    if output.format not in FORMATS:
        raise InvalidOption("output.format", f"output.format {output.format} is unknown.")
    margin = None
    if output.HasField("crop"):
        margin = output.crop.margin
        if not (math.isfinite(margin) and 0 <= margin <= 1):
            raise InvalidOption(
                "output.crop.margin", "output.crop.margin must be from 0 to 1, a share of the longer side."
            )
    return Output(FORMATS[output.format], margin)


def to_response(result: CutoutResult) -> service_pb2.RemoveBackgroundResponse:
    """Return the answer as it travels."""
    response = service_pb2.RemoveBackgroundResponse(
        image=image_pb2.OutputImage(
            content=result.image.content,
            format=FORMAT_VALUES[result.image.format],
            width=result.image.width_px,
            height=result.image.height_px,
        ),
        name=result.name,
        md5=result.md5,
        width=result.width_px,
        height=result.height_px,
        model=result.model,
        batch_size=result.batch_size,
    )
    if result.box is not None:
        response.objects.add(box=_relative(result.box, result.height_px, result.width_px))
    for timing in result.timings:
        entry = response.timings.add(stage=timing.stage.value)
        # Set field by field: Duration's own helpers are Python, and this stands on the path of every call.
        entry.duration.seconds = int(timing.seconds)
        entry.duration.nanos = int(timing.seconds % 1 * 1e9)
    return response


def _relative(box: PixelBox, height_px: int, width_px: int) -> image_pb2.Box:
    return image_pb2.Box(
        x=box.x / width_px,
        y=box.y / height_px,
        width=box.width / width_px,
        height=box.height / height_px,
    )
