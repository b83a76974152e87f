"""What an operator writes about fetching is checked when the server starts, not when the first URL comes."""

import pytest
from pydantic import ValidationError

from alphacut_server.settings import FetchSettings


def test_by_default_the_public_web_is_fetched_from() -> None:
    """Without exceptions, at its two ports, directly."""
    settings = FetchSettings()

    assert settings.enabled
    assert settings.public
    assert (settings.allow, settings.deny, settings.ports) == ((), (), (80, 443))
    assert settings.proxy is None
    assert settings.ca_file is None


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("Store.Internal", "store.internal"),
        ("minio", "minio"),
        (".Example.COM", ".example.com"),
        ("xn--bcher-kva.example.com", "xn--bcher-kva.example.com"),
        ("my_bucket.example.com", "my_bucket.example.com"),
        ("10.1.2.0/24", "10.1.2.0/24"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("FD00:1::/32", "fd00:1::/32"),
        ("::1", "::1/128"),
    ],
)
def test_hosts_domains_addresses_and_networks_are_taken(entry: str, kept: str) -> None:
    """In one form, whatever their capitals."""
    assert FetchSettings(allow=(entry,)).allow == (kept,)
    assert FetchSettings(deny=(entry,)).deny == (kept,)


@pytest.mark.parametrize(
    "entry",
    [
        "10.1.2.3/24",
        "10.1.2",
        "0x7f.1",
        "300.1.1.1",
        "http://example.com",
        "example.com:9000",
        "example.com.",
        "*.example.com",
        "..example.com",
        ".",
        "bücher.example.com",
        "a b",
        "example.com/24",
        "",
    ],
)
def test_anything_else_is_refused(entry: str) -> None:
    """For a rule that never matches would be believed to hold."""
    with pytest.raises(ValidationError, match=r"must be a host, a \.domain, an address or a network"):
        FetchSettings(deny=(entry,))


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "http://10.0.0.1:8080/", "http://[fd00::1]:3128"])
def test_a_proxy_is_host_and_port(proxy: str) -> None:
    """By name or by address."""
    assert FetchSettings(proxy=proxy).proxy == proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy:3128",
        "http://proxy",
        "http://user:password@proxy:3128",
        "socks5://proxy:1080",
        "http://p:1/x",
        "http://p:65536",
    ],
)
def test_another_proxy_is_refused(proxy: str) -> None:
    """Other protocols, passwords, paths."""
    with pytest.raises(ValidationError, match="http://host:port"):
        FetchSettings(proxy=proxy)


@pytest.mark.parametrize("ports", [(), (0,), (65536,)])
def test_ports_must_be_ports(ports: tuple[int, ...]) -> None:
    """At least one; to fetch nothing there is another setting."""
    with pytest.raises(ValidationError):
        FetchSettings(ports=ports)
