"""From a form with its options to a message of `alphacut.v1`; decides nothing about pictures."""

import hashlib
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from alphacut.options import BackgroundFit, ImageFormat, Mode, Quality, ShadowType
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1 import image_pb2, options_pb2
from alphacut_gateway.forms import Form
from alphacut_gateway.parameters import Options

IMAGE, URL = "image", "url"
BACKGROUND, BACKGROUND_URL = "image-bg", "url-bg"

MODES = {
    Mode.FG_IMAGE: options_pb2.MODE_FG_IMAGE,
    Mode.FG_MASK: options_pb2.MODE_FG_MASK,
    Mode.FG_IMAGE_SHADOW: options_pb2.MODE_FG_IMAGE_SHADOW,
}
QUALITIES = {
    Quality.FAST: options_pb2.QUALITY_FAST,
    Quality.BALANCED: options_pb2.QUALITY_BALANCED,
    Quality.BEST: options_pb2.QUALITY_BEST,
}
FITS = {
    BackgroundFit.NONE: options_pb2.BACKGROUND_FIT_NONE,
    BackgroundFit.COVER: options_pb2.BACKGROUND_FIT_COVER,
    BackgroundFit.CONTAIN: options_pb2.BACKGROUND_FIT_CONTAIN,
    BackgroundFit.STRETCH: options_pb2.BACKGROUND_FIT_STRETCH,
}
SHADOW_TYPES = {
    ShadowType.AUTO: options_pb2.SHADOW_TYPE_AUTO,
    ShadowType.CONTACT: options_pb2.SHADOW_TYPE_CONTACT,
    ShadowType.CAST: options_pb2.SHADOW_TYPE_CAST,
    ShadowType.DROP: options_pb2.SHADOW_TYPE_DROP,
    ShadowType.FLOAT: options_pb2.SHADOW_TYPE_FLOAT,
}
FORMATS = {
    ImageFormat.PNG: image_pb2.IMAGE_FORMAT_PNG,
    ImageFormat.WEBP: image_pb2.IMAGE_FORMAT_WEBP,
    ImageFormat.JPEG: image_pb2.IMAGE_FORMAT_JPEG,
}
# Below any that makes a difference, above what a message's number would round to 0.
LEAST_ELEVATION_DEG = 1e-30
FULL_TURN_DEG = 360
_FORMATS_BACK = {value: image_format for image_format, value in FORMATS.items()}


class PictureMissing(Exception):
    """The form holds neither a picture nor a URL."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request ready to go. filename: the picture's, as its answer names it; None when it comes from a URL."""

    request: service_pb2.RemoveBackgroundRequest
    filename: str | None

    def name(self, told: str = "") -> str:
        """Return what the answer calls the picture.

        told: what the server calls it; for a URL it knows best, and when it says nothing the URL's last segment counts.
        """
        if self.filename is not None:
            return self.filename
        return told or last_segment(self.request.image.url)

    def digest(self) -> str:
        """Return the MD5 of the picture sent, of nothing for a URL; 2 ms a MB, so not on the event loop."""
        return hashlib.md5(self.request.image.content, usedforsecurity=False).hexdigest()


def to_submission(form: Form, options: Options, image_format: ImageFormat | None) -> Submission:
    """Return the request for a form; what the caller leaves open stays unset. Raises PictureMissing.

    A file wins over a URL, and an empty text means none. The file's name is not sent: it may be longer than a message's
    may, and the answer's is at hand.
    """
    request = service_pb2.RemoveBackgroundRequest(mode=MODES[options.mode], model=options.model)
    if not _fill_source(request.image, form, IMAGE, URL):
        raise PictureMissing
    if options.quality is not None:
        request.quality = QUALITIES[options.quality]
    _fill_background(request, form, options)
    _fill_shadow(request, options)
    if image_format is not None:
        request.output.format = FORMATS[image_format]
    if options.crop:
        # Present even where the margin is 0: a field that has its default leaves no trace of the message around it.
        request.output.crop.SetInParent()
        request.output.crop.margin = options.crop_margin
    file = form.files.get(IMAGE)
    return Submission(request, None if file is None else file.filename)


def format_of(response: service_pb2.RemoveBackgroundResponse) -> ImageFormat:
    """Return how the answer's picture is encoded."""
    return _FORMATS_BACK.get(response.image.format, ImageFormat.PNG)


def last_segment(url: str) -> str:
    """Return the last segment of a URL's path, decoded; empty when there is none, or the text is no URL."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.rsplit("/", 1)[-1])


def _fill_background(request: service_pb2.RemoveBackgroundRequest, form: Form, options: Options) -> None:
    if _fill_source(request.background.image, form, BACKGROUND, BACKGROUND_URL):
        request.background.fit = FITS[options.bg_fit]
    elif options.bg_color is not None:
        request.background.color = options.bg_color


def _fill_shadow(request: service_pb2.RemoveBackgroundRequest, options: Options) -> None:
    """Write what the caller chose; the message stays unset where that is nothing.

    A message's numbers have 24 bits: what they round to the open end of its range is moved inside.
    """
    if options.shadow_type is not None:
        request.shadow.type = SHADOW_TYPES[options.shadow_type]
    if options.shadow_direction is not None:
        request.shadow.direction_deg = options.shadow_direction
        if request.shadow.direction_deg >= FULL_TURN_DEG:
            request.shadow.direction_deg = 0
    if options.shadow_elevation is not None:
        request.shadow.elevation_deg = max(options.shadow_elevation, LEAST_ELEVATION_DEG)
    if options.shadow_softness is not None:
        request.shadow.softness = options.shadow_softness
    if options.shadow_opacity is not None:
        request.shadow.opacity = options.shadow_opacity
    if options.shadow_color is not None:
        request.shadow.color = options.shadow_color


def _fill_source(source: image_pb2.ImageSource, form: Form, file_field: str, url_field: str) -> bool:
    """Write where a picture comes from, and tell whether it comes from anywhere."""
    file = form.files.get(file_field)
    url = form.texts.get(url_field, "")
    if file is not None:
        source.content = file.content
    elif url:
        # A form's bytes need not be UTF-8, a message's texts must be.
        source.url = url.encode("utf-8", "replace").decode()
    return source.HasField("source")
