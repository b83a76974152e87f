"""The API as an OpenAPI 3.1 document, built from the tables that serve it."""

from collections.abc import Mapping, Sequence

from alphacut.version import __version__
from alphacut_gateway import paths
from alphacut_gateway.answers import BINARY_HEADERS, TIMING_HEADER, TOO_LARGE_PAGE
from alphacut_gateway.calls import KEY_HEADERS, KEY_PARAMETER
from alphacut_gateway.middleware import REQUEST_ID_HEADER
from alphacut_gateway.negotiation import MEDIA_TYPES
from alphacut_gateway.openapi_schemas import (
    COMPONENTS,
    MULTIPART_FORM,
    URLENCODED_FORM,
    Schema,
    fixed,
    query_parameters,
    reference,
)

JSON, TEXT, HTML = "application/json", "text/plain", "text/html"

DESCRIPTION = (
    "Cuts the foreground out of photos. Every path is also served under `/img-bg-removal`. Any parameter and any form "
    "field that is not listed is ignored. The picture's name and size, its box and the cut-out come back as JSON, or the "
    "cut-out alone as a file."
)
RESULTS_DESCRIPTION = (
    "Send a picture as a form, as a file in `image` or by its address in `url`. A picture that cannot be cut is answered "
    "with 200 and a result whose status is `failure`; other codes say that the call failed. With "
    "`Accept: image/png`, `image/webp`, `image/jpeg` or `image/*`, unless it takes `*/*` as well, or with "
    "`response=binary`, a success is answered by the file itself with its facts in headers; a failure stays JSON."
)
OK_EXAMPLE: Mapping[str, object] = {
    "results": [
        {
            "status": {"code": "ok", "message": "Success"},
            "name": "shoes.jpg",
            "md5": "0cc175b9c0f1b6a831c399e269772661",
            "width": 640,
            "height": 480,
            "entities": [
                {
                    "kind": "image",
                    "name": "general-fg-image",
                    "image": "iVBORw0KGgo=",
                    "format": "PNG",
                    "representation": "base64",
                },
                {
                    "kind": "objects",
                    "name": "objects",
                    "objects": [
                        {
                            "box": [0.125, 0.25, 0.5, 0.625],
                            "entities": [
                                {"kind": "classes", "name": "classes", "classes": {"opaque-content": 1.0}}
                            ],
                        }
                    ],
                },
            ],
        }
    ]
}
FAILURE_EXAMPLE: Mapping[str, object] = {
    "results": [
        {
            "status": {"code": "failure", "message": "Can not load image."},
            "name": "notes.txt",
            "md5": "d41d8cd98f00b204e9800998ecf8427e",
            "entities": [],
        }
    ]
}
WRONG_MODE_EXAMPLE: Mapping[str, object] = {
    "detail": [
        {
            "loc": ["query", "mode"],
            "msg": "Input should be 'fg-image', 'fg-mask' or 'fg-image-shadow'",
            "type": "enum",
        }
    ]
}
REQUEST_ID: Mapping[str, Schema] = {
    REQUEST_ID_HEADER: {
        "description": "Names the request in the service's logs: the caller's own header, or a new one.",
        "schema": {"type": "string"},
    }
}
HEADER_WORDS: Mapping[str, str] = {
    "X-Alphacut-Name": "The picture's name, percent-encoded UTF-8, at most its first 255 characters.",
    "X-Alphacut-Md5": "MD5 of the picture's bytes as they were received.",
    "X-Alphacut-Width": "Width of the picture, upright, in pixels.",
    "X-Alphacut-Height": "Height of the picture, upright, in pixels.",
    "X-Alphacut-Mode": "The mode that was asked for.",
    "X-Alphacut-Box": "Left, top, width and height of the foreground as shares of the picture, with commas between; "
    "absent when there is none.",
}
RETRY_AFTER: Mapping[str, Schema] = {
    "Retry-After": {"description": "When to try again, seconds.", "schema": {"type": "integer", "minimum": 1}}
}
# The same key in any of three places; none of them where no keys are configured.
SECURITY: Sequence[Mapping[str, Sequence[str]]] = (
    {},
    *({name: []} for name in (*KEY_HEADERS, KEY_PARAMETER)),
)


def document() -> Mapping[str, object]:
    """Return the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "alphacut", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": prefix or "/"} for prefix in paths.PREFIXES],
        "paths": {
            **{path: {"post": _results_operation(path)} for path in paths.RESULTS},
            paths.VERSION: {"get": _version_operation()},
            paths.MODES: {"get": _modes_operation()},
            paths.LIVE: {"get": _live_operation()},
            paths.READY: {"get": _ready_operation()},
        },
        "components": {"schemas": COMPONENTS, "securitySchemes": _security_schemes()},
    }


def _results_operation(path: str) -> Schema:
    return {
        "summary": "Cut a picture",
        "operationId": f"results{paths.RESULTS.index(path) or ''}",
        "description": RESULTS_DESCRIPTION,
        "security": SECURITY,
        "parameters": query_parameters(),
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": MULTIPART_FORM},
                "application/x-www-form-urlencoded": {"schema": URLENCODED_FORM},
            },
        },
        "responses": {
            "200": _result_response(),
            "413": _response(
                "The request is larger than 32 MiB.", HTML, {"type": "string"}, example=TOO_LARGE_PAGE
            ),
            "408": _message_response("The request did not arrive in time."),
            "422": _response(
                "A parameter is wrong, or the form holds no picture.",
                JSON,
                reference("Refusal"),
                examples={
                    "parameter": {"value": WRONG_MODE_EXAMPLE},
                    "form": {"value": {"detail": "Missing image or url field."}},
                },
            ),
            **_call_responses(),
        },
    }


def _result_response() -> Schema:
    binary = {
        media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()
    }
    json_examples = {"success": {"value": OK_EXAMPLE}, "failure": {"value": FAILURE_EXAMPLE}}
    return {
        "description": "The picture, cut, or why it could not be.",
        "headers": {
            **REQUEST_ID,
            TIMING_HEADER: {
                "description": "How long the stages of the work took, milliseconds.",
                "schema": {"type": "string"},
            },
            **{
                name: {"description": f"{HEADER_WORDS[name]} With a file only.", "schema": {"type": "string"}}
                for name in BINARY_HEADERS
            },
        },
        "content": {JSON: {"schema": reference("Results"), "examples": json_examples}, **binary},
    }


def _version_operation() -> Schema:
    return {
        "summary": "The service's version",
        "operationId": "version",
        "security": SECURITY,
        "responses": {
            "200": _response(
                "vX.Y.Z; X is the version of the API.",
                TEXT,
                {"type": "string", "pattern": "^v[0-9]+\\.[0-9]+\\.[0-9]+$"},
                example=f"v{__version__}",
            ),
            **_call_responses(),
        },
    }


def _modes_operation() -> Schema:
    return {
        "summary": "What a cut-out can show",
        "operationId": "modes",
        "security": SECURITY,
        "responses": {
            "200": _response(
                "The modes, sorted.",
                JSON,
                {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                example=["fg-image", "fg-image-shadow", "fg-mask"],
            ),
            **_call_responses(),
        },
    }


def _live_operation() -> Schema:
    return {
        "summary": "Whether the gateway answers",
        "operationId": "live",
        "security": [],
        "responses": {"200": _response("It does.", JSON, fixed({"status": {"const": "ok"}}))},
    }


def _ready_operation() -> Schema:
    return {
        "summary": "Whether a picture would be cut now",
        "operationId": "ready",
        "security": [],
        "responses": {
            "200": _response("Yes.", JSON, fixed({"status": {"const": "ready"}})),
            "503": _response(
                "No.", JSON, fixed({"status": {"const": "not ready"}, "reason": {"type": "string"}})
            ),
        },
    }


def _call_responses() -> dict[str, Schema]:
    """Return how calls to the server fail, whatever they ask."""
    return {
        "401": _message_response("The key is missing or wrong."),
        "403": _message_response("The key does not allow this."),
        "429": _message_response("The key's quota is used up.", RETRY_AFTER),
        "500": _message_response("The service failed; the message holds the request id to quote."),
        "501": _message_response("The server behind the gateway does not serve this yet."),
        "503": _message_response("Overloaded, starting or shutting down.", RETRY_AFTER),
        "504": _message_response("The service did not answer in time."),
    }


def _message_response(description: str, headers: Mapping[str, Schema] | None = None) -> Schema:
    return _response(description, JSON, reference("Message"), headers=headers)


def _response(
    description: str,
    media_type: str,
    schema: Schema,
    *,
    headers: Mapping[str, Schema] | None = None,
    example: object = None,
    examples: Schema | None = None,
) -> Schema:
    content: dict[str, object] = {"schema": schema}
    if example is not None:
        content["example"] = example
    if examples is not None:
        content["examples"] = examples
    return {
        "description": description,
        "headers": {**REQUEST_ID, **(headers or {})},
        "content": {media_type: content},
    }


def _security_schemes() -> Schema:
    header = {name: {"type": "apiKey", "in": "header", "name": name} for name in KEY_HEADERS}
    return {**header, KEY_PARAMETER: {"type": "apiKey", "in": "query", "name": KEY_PARAMETER}}
