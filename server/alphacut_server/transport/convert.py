"""Protobuf ↔ the pipeline's plain data. A field set that is not served is refused by name, never silently ignored."""

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut_server.batching.policy import Priority
from alphacut_server.errors import InvalidOption, NotImplementedYet, SourceMissing
from alphacut_server.imaging.box import PixelBox
from alphacut_server.pipeline.types import CutoutRequest, CutoutResult, Mode

MAX_NAME_LENGTH = 1024

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

SERVED_FORMATS = (image_pb2.IMAGE_FORMAT_UNSPECIFIED, image_pb2.IMAGE_FORMAT_PNG)


def to_request(
    message: service_pb2.RemoveBackgroundRequest, client: str, default_priority: Priority
) -> CutoutRequest:
    """Return the call as the pipeline takes it. Raises SourceMissing, InvalidOption, NotImplementedYet."""
    _refuse_unserved(message)
    image = message.image
    if image.WhichOneof("source") != "content":
        raise SourceMissing("The request holds no picture: set image.content.")
    if len(image.name) > MAX_NAME_LENGTH:
        raise InvalidOption("image.name", f"image.name may have at most {MAX_NAME_LENGTH} characters.")
    if message.mode not in MODES:
        raise InvalidOption("mode", f"mode {message.mode} is unknown; ListModes names them.")
    if message.priority != options_pb2.PRIORITY_UNSPECIFIED and message.priority not in PRIORITIES:
        raise InvalidOption("priority", f"priority {message.priority} is unknown.")
    return CutoutRequest(
        content=image.content,
        name=image.name,
        mode=MODES[message.mode],
        model=message.model,
        priority=PRIORITIES.get(message.priority, default_priority),
        client=client,
    )


def _refuse_unserved(message: service_pb2.RemoveBackgroundRequest) -> None:
    if message.image.WhichOneof("source") == "url":
        raise NotImplementedYet("image.url")
    if message.quality != options_pb2.QUALITY_UNSPECIFIED:
        raise NotImplementedYet("quality")
    for field in ("background", "shadow"):
        if message.HasField(field):
            raise NotImplementedYet(field)
    if message.output.format not in SERVED_FORMATS:
        raise NotImplementedYet("output.format")
    if message.output.HasField("crop"):
        raise NotImplementedYet("output.crop")


def to_response(result: CutoutResult) -> service_pb2.RemoveBackgroundResponse:
    """Return the answer as it travels."""
    response = service_pb2.RemoveBackgroundResponse(
        image=image_pb2.OutputImage(
            content=result.content,
            format=image_pb2.IMAGE_FORMAT_PNG,
            width=result.width_px,
            height=result.height_px,
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
