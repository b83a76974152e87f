"""Between the client's types and the messages of `alphacut.v1`."""

from dataclasses import dataclass

from alphacut.cutout import Box, Cutout, DetectedObject, ModeInfo, ModelInfo, StageTiming
from alphacut.options import BackgroundFit, ImageFormat, Mode, Options, Priority, Quality, Shadow, ShadowType
from alphacut.pictures import ImageInput, Picture, check_size, load_picture
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2

_MODES = {
    Mode.FG_IMAGE: options_pb2.MODE_FG_IMAGE,
    Mode.FG_MASK: options_pb2.MODE_FG_MASK,
    Mode.FG_IMAGE_SHADOW: options_pb2.MODE_FG_IMAGE_SHADOW,
}
_MODES_BACK = {value: mode for mode, value in _MODES.items()}
_PRIORITIES = {
    Priority.INTERACTIVE: options_pb2.PRIORITY_INTERACTIVE,
    Priority.BULK: options_pb2.PRIORITY_BULK,
}
_QUALITIES = {
    Quality.FAST: options_pb2.QUALITY_FAST,
    Quality.BALANCED: options_pb2.QUALITY_BALANCED,
    Quality.BEST: options_pb2.QUALITY_BEST,
}
_FITS = {
    BackgroundFit.NONE: options_pb2.BACKGROUND_FIT_NONE,
    BackgroundFit.COVER: options_pb2.BACKGROUND_FIT_COVER,
    BackgroundFit.CONTAIN: options_pb2.BACKGROUND_FIT_CONTAIN,
    BackgroundFit.STRETCH: options_pb2.BACKGROUND_FIT_STRETCH,
}
_SHADOW_TYPES = {
    ShadowType.AUTO: options_pb2.SHADOW_TYPE_AUTO,
    ShadowType.CONTACT: options_pb2.SHADOW_TYPE_CONTACT,
    ShadowType.CAST: options_pb2.SHADOW_TYPE_CAST,
    ShadowType.DROP: options_pb2.SHADOW_TYPE_DROP,
    ShadowType.FLOAT: options_pb2.SHADOW_TYPE_FLOAT,
}
_FORMATS = {
    ImageFormat.PNG: image_pb2.IMAGE_FORMAT_PNG,
    ImageFormat.WEBP: image_pb2.IMAGE_FORMAT_WEBP,
    ImageFormat.JPEG: image_pb2.IMAGE_FORMAT_JPEG,
}
_FORMATS_BACK = {value: image_format for image_format, value in _FORMATS.items()}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Options with their background picture read, once for all the pictures that are cut by them."""

    options: Options
    backdrop: Picture | None = None


def prepare(options: Options) -> Recipe:
    """Read what the options name; raises what `load_picture` raises. A mask's background is not looked at."""
    background = options.background
    if background is None or background.image is None or options.mode is Mode.FG_MASK:
        return Recipe(options)
    return Recipe(options, load_picture(background.image, name=""))


def build_request(
    image: ImageInput, name: str | None, options: Options
) -> service_pb2.RemoveBackgroundRequest:
    """Read the picture and what the options name, and return the request; raises what `load_picture` raises."""
    request = service_pb2.RemoveBackgroundRequest()
    fill_request(request, load_picture(image, name), prepare(options))
    return request


def fill_request(request: service_pb2.RemoveBackgroundRequest, picture: Picture, recipe: Recipe) -> None:
    """Write what is asked for one picture into an empty request; what the caller leaves open stays unset.

    In place, for a stream's request lies inside another message: handed to a constructor it would be copied.
    Raises MessageTooLarge for a picture and a background that no request holds together.
    """
    options = recipe.options
    request.mode = _MODES[Mode(options.mode)]
    request.model = options.model
    if options.priority is not None:
        request.priority = _PRIORITIES[Priority(options.priority)]
    if options.quality is not None:
        request.quality = _QUALITIES[Quality(options.quality)]
    request.output.format = _FORMATS[ImageFormat(options.format)]
    if options.crop_margin is not None:
        # A margin of 0 alone would leave the message, and with it the crop, unset.
        request.output.crop.SetInParent()
        request.output.crop.margin = options.crop_margin
    if options.shadow is not None:
        _fill_shadow(request.shadow, options.shadow)
    _fill_background(request.background, recipe)
    if recipe.backdrop is not None:
        check_size(len(picture.content) + len(recipe.backdrop.content), "The picture and its background have")
    _fill_source(request.image, picture)


def _fill_background(message: options_pb2.Background, recipe: Recipe) -> None:
    background = recipe.options.background
    if background is None or recipe.options.mode is Mode.FG_MASK:
        return
    message.fit = _FITS[BackgroundFit(background.fit)]
    if background.color is not None:
        message.color = background.color
    if recipe.backdrop is not None:
        _fill_source(message.image, recipe.backdrop)


def _fill_shadow(message: options_pb2.Shadow, shadow: Shadow) -> None:
    """Write what the caller chose; 0 is a choice, None is not."""
    message.type = _SHADOW_TYPES[ShadowType(shadow.type)]
    if shadow.direction_deg is not None:
        message.direction_deg = shadow.direction_deg
    if shadow.elevation_deg is not None:
        message.elevation_deg = shadow.elevation_deg
    if shadow.softness is not None:
        message.softness = shadow.softness
    if shadow.opacity is not None:
        message.opacity = shadow.opacity
    if shadow.color is not None:
        message.color = shadow.color


def _fill_source(message: image_pb2.ImageSource, picture: Picture) -> None:
    message.name = picture.name
    if picture.url is not None:
        message.url = picture.url
    else:
        message.content = picture.content


def requested_mode(request: service_pb2.RemoveBackgroundRequest) -> Mode:
    """Return the mode a request asks for; unset means fg-image."""
    return _MODES_BACK.get(request.mode, Mode.FG_IMAGE)


def to_cutout(response: service_pb2.RemoveBackgroundResponse, mode: Mode) -> Cutout:
    """Return the cut-out of a reply; `mode` is what was asked for, the reply does not say it."""
    return Cutout(
        # Read once: each access copies the bytes.
        content=response.image.content,
        format=_FORMATS_BACK.get(response.image.format, ImageFormat.PNG),
        mode=mode,
        width=response.image.width or response.width,
        height=response.image.height or response.height,
        picture_width=response.width,
        picture_height=response.height,
        md5=response.md5,
        name=response.name,
        model=response.model,
        objects=tuple(
            DetectedObject(Box(each.box.x, each.box.y, each.box.width, each.box.height))
            for each in response.objects
        ),
        timings=tuple(
            StageTiming(each.stage, each.duration.seconds + each.duration.nanos / 1e9)
            for each in response.timings
        ),
        batch_size=response.batch_size,
    )


def to_modes(response: service_pb2.ListModesResponse) -> tuple[ModeInfo, ...]:
    """Return the modes of a reply."""
    return tuple(ModeInfo(each.name, each.description) for each in response.modes)


def to_models(response: service_pb2.ListModelsResponse) -> tuple[ModelInfo, ...]:
    """Return the models of a reply, the default first."""
    return tuple(
        ModelInfo(
            name=each.name,
            description=each.description,
            weights_license=each.weights_license,
            side_px=each.side_px,
            provider=each.provider,
            max_batch_size=each.max_batch_size,
            is_default=each.is_default,
        )
        for each in response.models
    )
