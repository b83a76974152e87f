"""Which ALPHACUT_* variables are not meant for us: Kubernetes' service links, and misspelt names."""

import difflib
import re
from collections.abc import Collection, Iterable

# Kubernetes puts these into every pod of a namespace for each Service whose name begins with "alphacut":
# NAME_SERVICE_HOST, NAME_SERVICE_PORT[_PORTNAME], NAME_PORT=tcp://…, NAME_PORT_50051_TCP[_PROTO|_PORT|_ADDR].
_LINK_NAMES = re.compile(
    r"ALPHACUT(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUES = re.compile(r"(tcp|udp|sctp)://")


def is_service_link(name: str, value: str) -> bool:
    """Tell whether a variable is one that Kubernetes injects for a Service."""
    return bool(_LINK_NAMES.fullmatch(name)) or holds_service_link(name, value)


def holds_service_link(name: str, value: str) -> bool:
    """Tell whether a variable …_PORT holds tcp://10.0.0.1:50051 or the like; no setting of ours does."""
    return name.endswith("_PORT") and bool(_LINK_VALUES.match(value))


def service_link_note(name: str, other_names: Iterable[str]) -> str:
    """Say that a Service's link hides one of our own variables, and what to do."""
    others = ", ".join(other_names)
    instead = f" or set {others} instead" if others else ""
    return (
        f"{name} holds a Kubernetes service link, not a port, and is ignored; "
        f"put enableServiceLinks: false into the pod's spec{instead}."
    )


def unknown_note(name: str, known: Collection[str]) -> str:
    """Say that nobody knows a variable, and which known name it resembles most."""
    return f"{name} is no setting of any alphacut program and is ignored.{nearest_hint(name, known)}"


def nearest_hint(name: str, known: Collection[str]) -> str:
    """Return ` Did you mean X?` for the nearest known name, or nothing."""
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""
