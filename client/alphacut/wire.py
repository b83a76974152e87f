"""Between the client's types and the messages of `alphacut.v1`."""

from typing import TypeVar

from alphacut.cutout import Box, Cutout, DetectedObject, ModeInfo, ModelInfo, StageTiming
from alphacut.errors import FieldViolation, InvalidOption, Reason
from alphacut.options import ImageFormat, Mode, Priority
from alphacut.pictures import Picture
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2

E = TypeVar("E", Mode, Priority)

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
_FORMATS_BACK = {
    image_pb2.IMAGE_FORMAT_PNG: ImageFormat.PNG,
    image_pb2.IMAGE_FORMAT_WEBP: ImageFormat.WEBP,
    image_pb2.IMAGE_FORMAT_JPEG: ImageFormat.JPEG,
}


def parse_mode(mode: Mode | str) -> Mode:
    """Return the mode of that REST name; raises InvalidOption naming what there is."""
    return _parse(Mode, "mode", mode)


def parse_priority(priority: Priority | str) -> Priority:
    """Return the priority of that name; raises InvalidOption naming what there is."""
    return _parse(Priority, "priority", priority)


def _parse(options: type[E], field: str, value: str) -> E:
    try:
        return options(value)
    except ValueError:
        message = f"{field} must be one of {', '.join(options)}, not {value!r}"
        raise InvalidOption(
            message,
            reason=Reason.INVALID_OPTION,
            metadata={"field": field},
            violations=(FieldViolation(field, message),),
        ) from None


def fill_request(
    request: service_pb2.RemoveBackgroundRequest,
    picture: Picture,
    mode: Mode,
    priority: Priority | None,
    model: str,
) -> None:
    """Write what is asked for one picture into an empty request; no priority leaves the choice to the server.

    In place, for a stream's request lies inside another message: handed to a constructor it would be copied.
    """
    request.mode = _MODES[mode]
    request.model = model
    if priority is not None:
        request.priority = _PRIORITIES[priority]
    request.image.name = picture.name
    if picture.url:
        request.image.url = picture.url
    else:
        request.image.content = picture.content


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
