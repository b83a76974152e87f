"""What a result's answers look like, byte for byte as documented; which one is sent is decided elsewhere."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from alphacut.options import ImageFormat, Mode
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut_gateway.base64_stream import PiecewiseResponse, base64_pieces, encoded_length
from alphacut_gateway.negotiation import MEDIA_TYPES
from alphacut_gateway.parameters import Violation
from alphacut_gateway.wire import format_of

# Where the picture comes in. Nothing else can spell it: a quote within a string has a backslash before it.
_GAP = b'"image":""'
# One page for every body that is too large, as callers of the API know it.
TOO_LARGE_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Error: Request Entity Too Large</title></head>
<body>
<h1>Error: Request Entity Too Large</h1>
<p>Your client issued a request that was too large.</p>
</body>
</html>
"""
MISSING = "Missing image or url field."
# What comes with a picture's bytes instead of JSON, and with both kinds of answer.
BINARY_HEADERS = tuple(f"X-Alphacut-{field}" for field in ("Name", "Md5", "Width", "Height", "Mode", "Box"))
TIMING_HEADER = "Server-Timing"
# A name is as long as its sender likes; a header of many kilobytes is refused by clients and proxies.
MAX_HEADER_NAME_CHARS = 255


class JsonResponse(Response):
    """JSON as compact as can be, in UTF-8; what UTF-8 cannot hold, a lone surrogate, becomes a question mark."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return the body."""
        return to_json(content)


def to_json(content: object) -> bytes:
    """Return JSON without blanks, texts as they are."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def success(response: service_pb2.RemoveBackgroundResponse, name: str, mode: Mode) -> Response:
    """Answer a picture that was cut, within JSON."""
    content = response.image.content  # read once: each access copies
    head, tail = _described(response, name, mode).split(_GAP)
    prefix, suffix = head + _GAP[:-1], _GAP[-1:] + tail
    return PiecewiseResponse(
        base64_pieces(prefix, content, suffix),
        length=len(prefix) + encoded_length(len(content)) + len(suffix),
        media_type=JsonResponse.media_type,
        headers=_common_headers(response),
    )


def success_binary(response: service_pb2.RemoveBackgroundResponse, name: str, mode: Mode) -> Response:
    """Answer a picture that was cut by its bytes alone, all else in headers."""
    image_format = format_of(response)
    headers = {
        **_common_headers(response),
        "Content-Disposition": _disposition(name, image_format),
        "X-Alphacut-Name": quote(name[:MAX_HEADER_NAME_CHARS], errors="replace"),
        "X-Alphacut-Md5": response.md5,
        "X-Alphacut-Width": str(response.width),
        "X-Alphacut-Height": str(response.height),
        "X-Alphacut-Mode": mode.value,
    }
    for box in _boxes(response)[:1]:
        headers["X-Alphacut-Box"] = ",".join(repr(edge) for edge in box)
    return Response(response.image.content, headers=headers, media_type=MEDIA_TYPES[image_format])


def failure(message: str, name: str, md5: str) -> Response:
    """Answer a picture that could not be cut: by the documents that is a success of HTTP."""
    result = {
        "status": {"code": "failure", "message": message},
        "name": name,
        "md5": md5,
        "entities": [],
    }
    return JsonResponse({"results": [result]}, headers={"Vary": "Accept"})


def refused_fields(violations: Sequence[Violation]) -> Response:
    """Answer wrong parameters, each by name."""
    detail = [
        {"loc": ["query", each.parameter], "msg": each.message, "type": each.kind} for each in violations
    ]
    return JsonResponse({"detail": detail}, 422)


def refused_form(detail: str) -> Response:
    """Answer a form that holds no picture, or cannot be read."""
    return JsonResponse({"detail": detail}, 422)


def too_large() -> Response:
    """Answer a body over the limit."""
    return HTMLResponse(TOO_LARGE_PAGE, 413)


def call_failed(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a call that failed for reasons that lie in no picture and no parameter."""
    return JsonResponse({"message": message}, status, headers)


def _described(response: service_pb2.RemoveBackgroundResponse, name: str, mode: Mode) -> bytes:
    """Return the whole answer with the picture left out; the order of the keys is part of the contract."""
    objects = [
        {
            "box": box,
            "entities": [{"kind": "classes", "name": "classes", "classes": {"opaque-content": 1.0}}],
        }
        for box in _boxes(response)
    ]
    image = {
        "kind": "image",
        "name": f"general-{mode.value}",
        "image": "",
        "format": format_of(response).name,
        "representation": "base64",
    }
    result = {
        "status": {"code": "ok", "message": "Success"},
        "name": name,
        "md5": response.md5,
        "width": response.width,
        "height": response.height,
        "entities": [image, {"kind": "objects", "name": "objects", "objects": objects}],
    }
    return to_json({"results": [result]})


def _boxes(response: service_pb2.RemoveBackgroundResponse) -> list[list[float]]:
    """Return x, y, width, height of what was found, unrounded shares of the picture's sides."""
    return [[each.box.x, each.box.y, each.box.width, each.box.height] for each in response.objects]


def _common_headers(response: service_pb2.RemoveBackgroundResponse) -> dict[str, str]:
    stages = (
        f"{each.stage};dur={each.duration.seconds * 1e3 + each.duration.nanos / 1e6:.3f}"
        for each in response.timings
    )
    return {"Vary": "Accept", TIMING_HEADER: ", ".join(stages)}


def _disposition(name: str, image_format: ImageFormat) -> str:
    """Return a header by which the picture is shown, and saved under the name it came with and its new ending."""
    stem = PurePosixPath(name.replace("\\", "/")).stem[:MAX_HEADER_NAME_CHARS] or "cutout"
    filename = quote(f"{stem}.{image_format.value}", safe="", errors="replace")
    return f"inline; filename*=UTF-8''{filename}"
