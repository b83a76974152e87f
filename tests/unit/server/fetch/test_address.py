"""What counts as public: no more than Python's own table says, and less than that by what is named here."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphacut_server.fetch.address import is_public

# Globally reachable by Python's table, refused here all the same.
REFUSED_BESIDES = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's platform service
            "192.0.0.0/24",  # protocol assignments: some of them are global
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # multicast tunnels
            "192.88.99.0/24",  # 6to4 relays
            "192.175.48.0/24",  # AS112
            "224.0.0.0/4",  # multicast
            "2001::/23",  # protocol assignments, Teredo among them
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # the 6bone
            "3fff::/20",  # documentation; newer than the tables of some Pythons
        ),
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")


def is_isatap(address: IPv6Address) -> bool:
    """Tell whether the interface part says ISATAP, whatever its universal and group bits."""
    words = address.exploded.split(":")
    return words[4] in {"0000", "0100", "0200", "0300"} and words[5] == "5efe"


def is_refused_besides(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether the address is refused although Python calls it global."""
    if isinstance(address, IPv6Address) and (address not in GLOBAL_UNICAST or is_isatap(address)):
        return True
    return any(address in network for network in REFUSED_BESIDES)


# Uniform numbers would hit a /24 once in 16 million: half of the addresses come from the edges of the networks.
edges = st.sampled_from(
    [
        number
        for network in (*REFUSED_BESIDES, *map(ip_network, ("10.0.0.0/8", "100.64.0.0/10", "198.18.0.0/15")))
        if network.version == 4
        for number in (
            max(int(network[0]) - 1, 0),
            int(network[0]),
            int(network[-1]),
            min(int(network[-1]) + 1, 2**32 - 1),
        )
    ]
)
edges6 = st.sampled_from(
    [
        number
        for network in (*REFUSED_BESIDES, GLOBAL_UNICAST, ip_network("fc00::/7"), ip_network("64:ff9b::/96"))
        if network.version == 6
        for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1)
    ]
)


@given(st.one_of(st.integers(0, 2**32 - 1), edges))
def test_ipv4_is_public_where_python_says_so_and_nothing_speaks_against_it(number: int) -> None:
    """The two tables agree but for the networks named in this test."""
    address = IPv4Address(number)

    assert is_public(address) == (address.is_global and not is_refused_besides(address))


@given(st.one_of(st.integers(0, 2**128 - 1), st.integers(0x2 << 124, (0x4 << 124) - 1), edges6))
@example(int(IPv6Address("2606:2800:220:1::1")))
@example(int(IPv6Address("2606:2800:220:1:0:5efe:a00:1")))
@example(int(IPv6Address("2606:2800:220:1:300:5efe:a00:1")))
def test_ipv6_is_public_where_python_says_so_and_nothing_speaks_against_it(number: int) -> None:
    """As for IPv4; of IPv6 only global unicast can be."""
    address = IPv6Address(number)

    assert is_public(address) == (address.is_global and not is_refused_besides(address))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"]),
)
def test_an_ipv4_address_in_disguise_is_never_public(number: int, prefix: str) -> None:
    """Not even a public one: compatible, mapped, translated and both NAT64 prefixes."""
    assert not is_public(IPv6Address(int(IPv6Address(prefix)) + number))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**80 - 1))
def test_a_tunnelled_ipv4_address_is_never_public(number: int, rest: int) -> None:
    """6to4 carries it after its prefix, Teredo at its end."""
    assert not is_public(IPv6Address((0x2002 << 112) | (number << 80) | rest))
    assert not is_public(IPv6Address((0x20010000 << 96) | (rest % 2**64 << 32) | number))


@pytest.mark.parametrize("text", ["fe80::1%eth0", "2606:2800:220:1::1%1"])
def test_an_address_with_a_zone_is_not_public(text: str) -> None:
    """It holds on one link only."""
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e"]
)
def test_well_known_hosts_are_public(text: str) -> None:
    """The table does not refuse everything."""
    assert is_public(ip_address(text))
