"""JSON or the picture's own bytes, and in which format: from the parameters and the Accept header."""

import re
from dataclasses import dataclass

from alphacut.options import ImageFormat
from alphacut_gateway.parameters import Options, ResponseKind

MEDIA_TYPES = {
    ImageFormat.PNG: "image/png",
    ImageFormat.WEBP: "image/webp",
    ImageFormat.JPEG: "image/jpeg",
}
# RFC 9110, 12.4.2: 0 to 1 with at most three digits.
_WEIGHT = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the picture goes out: as bytes, or within JSON; `format` is None where the server's default will do."""

    is_binary: bool
    format: ImageFormat | None


def negotiate(options: Options, accept: str | None) -> Delivery:
    """Return how to answer. accept: the header's value, None when absent.

    A parameter wins over the header. The header asks for bytes when it prefers a picture to JSON and does not take
    everything: `*/*` is what programs send that never thought about it, and those expect JSON.
    """
    weights = _weights(accept or "")
    chosen = None if weights.get("*/*", 0) > 0 else _best_format(weights)
    is_asked = options.response is ResponseKind.BINARY
    is_binary = is_asked or (options.response is None and chosen is not None)
    return Delivery(is_binary, options.format or (chosen if is_binary else None))


def _best_format(weights: dict[str, float]) -> ImageFormat | None:
    """Return the format the header prefers, None where it likes JSON as well; PNG goes first among equals."""
    by_format = {
        image_format: weights.get(media_type, weights.get("image/*", 0.0))
        for image_format, media_type in MEDIA_TYPES.items()
    }
    best = max(by_format, key=lambda image_format: by_format[image_format])
    json_weight = weights.get("application/json", weights.get("application/*", 0.0))
    return best if by_format[best] > json_weight else None


def _weights(accept: str) -> dict[str, float]:
    """Return media range → weight in [0, 1]; a weight that cannot be read counts as 1, other parameters are dropped."""
    found: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q" and _WEIGHT.fullmatch(value.strip()):
                weight = float(value)
        if media_range:
            found[media_range] = weight
    return found
