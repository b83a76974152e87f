"""Which addresses are public: those that any host on the internet may reach, and no way of writing another one."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's IPv4 special-purpose address registry (RFC 6890 and successors) with everything that is not globally reachable unicast,
# and the registry of multicast addresses. Kept here, for `ipaddress.is_global` differs between Python's patch releases and
# counts multicast as global.
_IPV4_NOT_PUBLIC = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # carriers' NAT, RFC 6598; Alibaba's metadata service
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's platform service: a public number, answered by the host beneath
            "169.254.0.0/16",  # link-local; metadata services of most clouds
            "172.16.0.0/12",  # private, RFC 1918
            "192.0.0.0/24",  # protocol assignments, RFC 6890; Oracle's metadata service
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.31.196.0/24",  # AS112, RFC 7535: answered by whoever is nearest
            "192.52.193.0/24",  # multicast tunnels, RFC 7450
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "192.168.0.0/16",  # private, RFC 1918
            "192.175.48.0/24",  # AS112, RFC 7534
            "198.18.0.0/15",  # benchmarks, RFC 2544
            "198.51.100.0/24",  # documentation, RFC 5737
            "203.0.113.0/24",  # documentation, RFC 5737
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and the limited broadcast
        ),
    )
)

# The only block from which global unicast addresses are given out (RFC 4291, IANA's registry). What lies outside is refused by
# that alone: unspecified, loopback, IPv4-compatible and -mapped (::/96, ::ffff:0:0/96), translated (::ffff:0:0:0/96), NAT64
# (64:ff9b::/96 and 64:ff9b:1::/48), discard (100::/64), SRv6 (5f00::/16), unique local (fc00::/7; the metadata services of
# Amazon and Google), link-local (fe80::/10), site-local (fec0::/10), multicast (ff00::/8).
_IPV6_GLOBAL_UNICAST = IPv6Network("2000::/3")

_IPV6_NOT_PUBLIC = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, RFC 2928: Teredo (2001::/32), benchmarks, ORCHID
            "2001:db8::/32",  # documentation, RFC 3849
            "2002::/16",  # 6to4, RFC 3056: carries an IPv4 address
            "2620:4f:8000::/48",  # AS112, RFC 7534
            "3ffe::/16",  # the 6bone, given back, RFC 3701
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)

# The interface part of an ISATAP address (RFC 5214, section 6.1), which carries an IPv4 address under any prefix: 0000:5efe,
# or 0200:5efe for one that is unique in the world; the group bit is left open as well.
_ISATAP = 0x00005EFE
_ISATAP_MASK = 0xFCFFFFFF


def is_public(address: Address) -> bool:
    """Tell whether the address is global unicast, of no special purpose, and carries no IPv4 address inside."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _IPV4_NOT_PUBLIC)
    if address.scope_id is not None or address not in _IPV6_GLOBAL_UNICAST:
        return False
    if (int(address) >> 32) & _ISATAP_MASK == _ISATAP:
        return False
    return not any(address in network for network in _IPV6_NOT_PUBLIC)
