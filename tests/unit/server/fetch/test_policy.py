"""The operator's lists: what they open, what they close, which wins."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from alphacut_server.fetch.policy import Policy
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.target import parse_url
from alphacut_server.settings import FetchSettings

PUBLIC = "93.184.216.34"
PRIVATE = "10.1.2.3"


def refusal(settings: FetchSettings, url: str, addresses: Sequence[str] = ()) -> Cause | None:
    """Return why the URL, whose host has these addresses, is refused; None when it is not."""
    policy = Policy.of(settings)
    target = parse_url(url)
    try:
        policy.check_target(target)
        if addresses:
            policy.check_addresses(target.host, [ip_address(address) for address in addresses])
    except Refused as refused:
        return refused.cause
    return None


def test_by_default_the_public_may_be_fetched_from_and_nothing_else() -> None:
    """At the two ports of the web."""
    settings = FetchSettings()

    assert refusal(settings, "http://example.com/", [PUBLIC]) is None
    assert refusal(settings, f"https://{PUBLIC}/") is None
    assert refusal(settings, "http://example.com/", [PRIVATE]) is Cause.ADDRESS_DENIED
    assert refusal(settings, f"http://{PRIVATE}/") is Cause.ADDRESS_DENIED
    assert refusal(settings, "http://example.com:8080/") is Cause.PORT


def test_every_address_must_pass() -> None:
    """The next connection might go to the one that does not."""
    assert refusal(FetchSettings(), "http://example.com/", [PUBLIC, PRIVATE]) is Cause.ADDRESS_DENIED


@pytest.mark.parametrize(
    "host", ["localhost", "intranet", "a.local", "db.internal", "x.home.arpa", "h.onion"]
)
def test_names_of_the_inside_are_not_looked_up(host: str) -> None:
    """No name server is asked, so none tells how long it took."""
    assert refusal(FetchSettings(), f"http://{host}/") is Cause.HOST_DENIED


def test_an_allowed_name_may_have_any_address() -> None:
    """Only that name, not what lies under it or beside it."""
    settings = FetchSettings(allow=("store.internal",))

    assert refusal(settings, "http://store.internal/", [PRIVATE, PUBLIC]) is None
    assert refusal(settings, "http://x.store.internal/") is Cause.HOST_DENIED
    assert refusal(settings, "http://restore.internal/") is Cause.HOST_DENIED
    assert refusal(settings, f"http://{PRIVATE}/") is Cause.ADDRESS_DENIED


def test_an_allowed_domain_holds_itself_and_everything_under_it() -> None:
    """At label boundaries."""
    settings = FetchSettings(allow=(".store.internal",))

    assert refusal(settings, "http://store.internal/", [PRIVATE]) is None
    assert refusal(settings, "http://a.b.store.internal/", [PRIVATE]) is None
    assert refusal(settings, "http://restore.internal/") is Cause.HOST_DENIED


def test_an_allowed_network_holds_for_any_name_that_leads_there() -> None:
    """And for the plain address; every address of the name must lie there or be public."""
    settings = FetchSettings(allow=("10.1.0.0/16", "fd00:1::/32"))

    assert refusal(settings, f"http://{PRIVATE}/") is None
    assert refusal(settings, "http://[fd00:1::5]/") is None
    assert refusal(settings, "http://minio/", [PRIVATE]) is None
    assert refusal(settings, "http://example.com/", [PRIVATE, PUBLIC]) is None
    assert refusal(settings, "http://example.com/", [PRIVATE, "10.2.0.1"]) is Cause.ADDRESS_DENIED
    assert refusal(settings, f"http://[::ffff:{PRIVATE}]/") is Cause.ADDRESS_DENIED


def test_deny_wins() -> None:
    """Over what is public, over an allowed name, over an allowed network."""
    settings = FetchSettings(
        allow=(".internal", "10.0.0.0/8", "store.example.com"),
        deny=("vault.internal", "10.1.0.0/16", ".example.com", f"{PUBLIC}/32"),
    )

    assert refusal(settings, "http://store.internal/", ["10.2.0.1"]) is None
    assert refusal(settings, "http://vault.internal/") is Cause.HOST_DENIED
    assert refusal(settings, "http://store.internal/", [PRIVATE]) is Cause.ADDRESS_DENIED
    assert refusal(settings, f"http://{PRIVATE}/") is Cause.ADDRESS_DENIED
    assert refusal(settings, "http://store.example.com/") is Cause.HOST_DENIED
    assert refusal(settings, "http://example.com/") is Cause.HOST_DENIED
    assert refusal(settings, "http://example.org/", [PUBLIC]) is Cause.ADDRESS_DENIED


def test_behind_a_proxy_an_allowed_network_opens_no_names() -> None:
    """Nobody here would see whether they lead there; addresses in figures are judged as ever."""
    settings = FetchSettings(allow=("10.1.0.0/16", "minio"), public=False, proxy="http://proxy:3128")

    assert refusal(settings, "http://intranet/") is Cause.HOST_DENIED
    assert refusal(settings, "http://example.com/") is Cause.HOST_DENIED
    assert refusal(settings, "http://minio/") is None
    assert refusal(settings, f"http://{PRIVATE}/") is None
    assert refusal(settings, f"http://{PUBLIC}/") is Cause.ADDRESS_DENIED


def test_the_public_can_be_closed() -> None:
    """Then only what is allowed remains, and other names are not even looked up."""
    settings = FetchSettings(public=False, allow=("store.example.com",))

    assert refusal(settings, "http://store.example.com/", [PUBLIC]) is None
    assert refusal(settings, "http://example.org/") is Cause.HOST_DENIED
    assert refusal(settings, f"http://{PUBLIC}/") is Cause.ADDRESS_DENIED


def test_the_ports_hold_for_allowed_hosts_too() -> None:
    """An object store at a port of its own needs both settings."""
    store = "http://store.internal:9000/"

    assert refusal(FetchSettings(allow=("store.internal",)), store) is Cause.PORT
    assert refusal(FetchSettings(allow=("store.internal",), ports=(443, 9000)), store) is None
