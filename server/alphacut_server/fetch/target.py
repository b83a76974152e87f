"""Strict reading of URLs. What two readers could understand in two ways is refused, so that what is checked is what is fetched.

The two standards, RFC 3986 and WHATWG's, disagree about backslashes, user information, control characters, blanks around, empty
ports, numeric hosts and percent signs in hosts. None of these is needed for a picture. The path and the query are nobody's
business but the server's: there, characters beyond ASCII are percent-encoded as both standards say.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NoReturn
from urllib.parse import quote

import idna

from alphacut_server.fetch.address import Address
from alphacut_server.fetch.refusal import Cause, Refused

MAX_URL_CHARS = 8192
"""Signed links of object stores have up to some 2,000; servers commonly refuse request lines of more than 8 KiB."""

MAX_HOST_CHARS = 253
"""RFC 1035 in writing; a name beyond ASCII only grows when it is encoded."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.IGNORECASE | re.ASCII,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_AUTHORITY = re.compile(
    r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>[1-9][0-9]{0,4}))?", re.IGNORECASE | re.ASCII
)
# Underscores are no host name by RFC 952, but buckets and content networks have them.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# WHATWG, "ends in a number": such a host is an IPv4 address in some notation, or nothing.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_DOTTED_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}", re.ASCII)
# Readers drop some of these, and some end a line of HTTP: C0 and C1 controls and DEL.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Kept as they are in a request line; the percent sign because escapes are already made.
_SAFE_IN_TARGET = "/?:@!$&'()*+,;=-._~%[]"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL leads to. scheme: http or https. host: lower case, A-labels, or a plain address. path: with the query."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None

    @property
    def explicit_port(self) -> int | None:
        """Return the port unless it is the scheme's own."""
        return None if self.port == DEFAULT_PORTS[self.scheme] else self.port

    @property
    def host_header(self) -> str:
        """Return what the Host header says: IPv6 in brackets, the port unless it is the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.explicit_port is None else f"{host}:{self.explicit_port}"

    @property
    def url(self) -> str:
        """Return the URL as it was understood, without its fragment."""
        return f"{self.scheme}://{self.host_header}{self.path}"


def parse_url(url: str) -> Target:
    """Return what an absolute URL leads to. Raises Refused (URL_MALFORMED)."""
    if len(url) > MAX_URL_CHARS or "\\" in url or _CONTROL.search(url):
        _refuse()
    parts = _URL.fullmatch(url)
    if parts is None or url != url.strip():
        _refuse()
    # The pattern lets an @ pass, and the host's own check refuses it: user information is never sent, hence never accepted.
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        _refuse()
    scheme = parts["scheme"].lower()
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    host, address = _read_host(authority["host"])
    if port > 65535:
        _refuse()
    return Target(scheme, host, port, _encode(parts["path"] or "/") + _encode(parts["query"] or ""), address)


def follow(base: Target, location: str) -> Target:
    """Return what a redirect leads to, read as strictly as the first URL. Raises Refused (URL_MALFORMED)."""
    if "\\" in location or _CONTROL.search(location) or location != location.strip():
        _refuse()
    if _SCHEME.match(location):
        return parse_url(location)
    return parse_url(_join(base, location))


def _join(base: Target, reference: str) -> str:
    """Return the URL of a relative reference (RFC 3986, section 5.2), to be read anew: it may name another host."""
    origin = f"{base.scheme}://{base.host_header}"
    base_path = base.path.partition("?")[0]
    if reference.startswith("//"):
        return f"{base.scheme}:{reference}"
    if reference.startswith("/"):
        return origin + reference
    if reference.startswith("?"):
        return origin + base_path + reference
    path = re.split(r"[?#]", reference, maxsplit=1)[0]
    if not path:
        return base.url
    # urllib's urljoin would make one of two slashes in a row.
    folder = base_path.rpartition("/")[0]
    return origin + _without_dots(f"{folder}/{path}") + reference.removeprefix(path)


def _without_dots(path: str) -> str:
    """Resolve `.` and `..` (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    segments = path.removeprefix("/").split("/")
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    is_folder = segments[-1] in {".", ".."}
    return "/" + "/".join([*kept, ""] if is_folder else kept)


def _read_host(text: str) -> tuple[str, Address | None]:
    """Return the host in the one form used from here on, and its address when it is one."""
    try:
        if text.startswith("["):
            address = IPv6Address(text[1:-1])
            return str(address), address
        host = _ascii_host(text)
        labels = host.split(".")
        if _NUMERIC_LABEL.fullmatch(labels[-1]):
            if not _DOTTED_QUAD.fullmatch(host):
                _refuse()
            return host, IPv4Address(host)
    except AddressValueError:
        _refuse()
    if len(host) > MAX_HOST_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse()
    return host, None


def _ascii_host(text: str) -> str:
    """Return a host name in lower case and A-labels, by IDNA 2008 without any mapping of look-alikes."""
    if len(text) > MAX_HOST_CHARS:
        _refuse()
    # str.lower() would turn the Kelvin sign into a k.
    lower = "".join(char.lower() if char.isascii() else char for char in text)
    if lower.isascii():
        return lower
    try:
        return idna.encode(lower, strict=True, std3_rules=True).decode("ascii")
    except UnicodeError:  # idna's own errors included
        _refuse()


def _encode(text: str) -> str:
    try:
        return quote(text, safe=_SAFE_IN_TARGET)
    except UnicodeEncodeError:  # half of a surrogate pair
        _refuse()


def _refuse() -> NoReturn:
    raise Refused(Cause.URL_MALFORMED) from None
