"""What may be fetched from: public addresses, what the operator allows beside them, and nothing of what is denied."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from alphacut_server.fetch.address import Address, Network, is_public
from alphacut_server.fetch.refusal import Cause, Refused
from alphacut_server.fetch.target import Target
from alphacut_server.settings import FetchSettings

# Names that no public name server answers, hence never looked up (RFC 6761, 6762, 7686, 8375, 9476; .internal by ICANN).
_NEVER_PUBLIC = ("alt", "example", "home.arpa", "internal", "invalid", "local", "localhost", "onion", "test")


@dataclass(frozen=True, slots=True)
class Places:
    """Entries of an allow or deny list. names: exact. domains: with everything under them. networks: addresses."""

    names: frozenset[str]
    domains: tuple[str, ...]
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Places":
        """Sort entries as FetchSettings checks and writes them: `name`, `.domain`, `network/length`."""
        return cls(
            names=frozenset(entry for entry in entries if "/" not in entry and not entry.startswith(".")),
            domains=tuple(entry.removeprefix(".") for entry in entries if entry.startswith(".")),
            networks=tuple(ip_network(entry) for entry in entries if "/" in entry),
        )

    def has_name(self, host: str) -> bool:
        """Tell whether the name is listed, or lies in a domain that is."""
        return host in self.names or any(_is_within(host, domain) for domain in self.domains)

    def has_address(self, address: Address) -> bool:
        """Tell whether the address lies in a network that is listed."""
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules; each check raises Refused.

    is_resolved_here: whether the addresses of names will be checked; behind a proxy they cannot be, and names alone decide.
    """

    ports: frozenset[int]
    allowed: Places
    denied: Places
    is_public_allowed: bool
    is_resolved_here: bool

    @classmethod
    def of(cls, settings: FetchSettings) -> "Policy":
        """Return the rules that the settings mean."""
        return cls(
            ports=frozenset(settings.ports),
            allowed=Places.of(settings.allow),
            denied=Places.of(settings.deny),
            is_public_allowed=settings.public,
            is_resolved_here=settings.proxy is None,
        )

    def check_target(self, target: Target) -> None:
        """Check port and host before anything is looked up, and the address where the host is one."""
        if target.port not in self.ports:
            raise Refused(Cause.PORT)
        if target.address is not None:
            self.check_addresses(target.host, [target.address])
        elif self.denied.has_name(target.host) or not self._may_pass(target.host):
            raise Refused(Cause.HOST_DENIED)

    def check_addresses(self, host: str, addresses: Sequence[Address]) -> None:
        """Check all addresses of a host: one that is refused refuses the host, for the next lookup may put it first."""
        by_name = self.allowed.has_name(host)
        for address in addresses:
            permitted = (
                by_name
                or self.allowed.has_address(address)
                or (self.is_public_allowed and is_public(address))
            )
            if self.denied.has_address(address) or not permitted:
                raise Refused(Cause.ADDRESS_DENIED)

    def _may_pass(self, host: str) -> bool:
        """Tell whether the name can have an address that is permitted."""
        if self.allowed.has_name(host) or (self.allowed.networks and self.is_resolved_here):
            return True
        is_local = "." not in host or any(_is_within(host, domain) for domain in _NEVER_PUBLIC)
        return self.is_public_allowed and not is_local


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
