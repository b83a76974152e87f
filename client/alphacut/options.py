"""What a caller may choose, as enums whose values are the names of the REST API; knows nothing of the wire."""

from enum import StrEnum


class Mode(StrEnum):
    """What the reply shows."""

    FG_IMAGE = "fg-image"
    """The foreground over transparency: RGBA, straight alpha."""
    FG_MASK = "fg-mask"
    """The foreground's alpha: one grey channel, 255 is foreground."""
    FG_IMAGE_SHADOW = "fg-image-shadow"
    """The foreground with a soft shadow under it: RGBA."""


class Priority(StrEnum):
    """Who goes first when calls wait for the device."""

    INTERACTIVE = "interactive"
    """Someone is looking at a screen: before all bulk work."""
    BULK = "bulk"
    """Throughput matters, waiting does not."""


class ImageFormat(StrEnum):
    """How a cut-out is encoded."""

    PNG = "png"
    WEBP = "webp"
    JPEG = "jpeg"
