"""What a call to the server carries besides its message: the request's id, and the key its caller brought."""

import re

from starlette.requests import Request

from alphacut.session import API_KEY_HEADER, Metadata
from alphacut.status import REQUEST_ID_KEY
from alphacut_service.logs import request_id

KEY_HEADERS = ("X-API-KEY", "X-RapidAPI-Key")
KEY_PARAMETER = "api_key"
# What gRPC can carry as text. Anything else is no key of any server, and is dropped, lest it fail a call that needs none.
_SENDABLE = re.compile(r"[\x20-\x7e]{1,1024}")


def metadata(request: Request) -> Metadata:
    """Return what a call on behalf of this request carries; whether the key is good is the server's to say."""
    carried: list[tuple[str, str | bytes]] = [(REQUEST_ID_KEY, request_id.get())]
    key = _key(request)
    if _SENDABLE.fullmatch(key):
        carried.append((API_KEY_HEADER, key))
    return carried


def _key(request: Request) -> str:
    """Return the first key the caller brought, headers before the query; empty when there is none."""
    headers = (request.headers.get(name, "") for name in KEY_HEADERS)
    brought = (key.strip() for key in (*headers, request.query_params.get(KEY_PARAMETER, "")))
    return next((key for key in brought if key), "")
