"""Where the server is and how the connection behaves: targets, TLS, channel arguments."""

import ipaddress
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import grpc

from alphacut.version import __version__

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_PORT = 50051
MIB = 1 << 20
# The service takes requests of at most 32 MiB; what is larger fails here rather than after the upload.
MAX_REQUEST_BYTES = 32 * MIB
MAX_REPLY_BYTES = 128 * MIB

_HAS_SCHEME = re.compile(r"^(dns|unix|unix-abstract|ipv4|ipv6|vsock|xds):", re.IGNORECASE)
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})

ChannelArguments = list[tuple[str, int | str]]


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a TLS connection, PEM; without `root_certificates` gRPC's own roots are trusted.

    `private_key` and `certificate_chain` go together, for servers that ask for a client certificate. `server_name`
    is the name the server's certificate must bear, when it is not the target's.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        """Refuse half a client certificate."""
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("a client certificate needs both private_key and certificate_chain")

    @classmethod
    def from_files(
        cls,
        *,
        ca: str | os.PathLike[str] | None = None,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        server_name: str = "",
    ) -> "Tls":
        """Read the PEM files; raises OSError when one cannot be read."""

        def read(path: str | os.PathLike[str] | None) -> bytes | None:
            return None if path is None else Path(path).read_bytes()

        return cls(read(ca), read(key), read(certificate), server_name)

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what gRPC makes of them."""
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)


def resolve_target(target: str) -> str:
    """Return the gRPC target for HOST, HOST:PORT, [IPv6]:PORT, a bare IPv6 address, or a target with a scheme.

    A host's every address is used in turn (`dns:///`, round_robin). Raises ValueError for what is no address.
    """
    text = target.strip()
    if re.match(r"^https?://", text, re.IGNORECASE):
        raise ValueError(f"{target!r} is a web address; name the gRPC server as HOST:PORT, without http://")
    if _HAS_SCHEME.match(text) and not _is_ipv6(text):
        return text
    host, port = _split_host_port(text)
    if not host or re.search(r"[\s/@]", host):
        raise ValueError(f"{target!r} is no address; name the server as HOST:PORT")
    if not 0 < port < 65536:
        raise ValueError(f"{target!r} has no port between 1 and 65535")
    return f"dns:///{f'[{host}]' if ':' in host else host}:{port}"


def channel_arguments(target: str, tls: Tls | None) -> ChannelArguments:
    """Return the arguments for a channel to a resolved target."""
    arguments: ChannelArguments = [
        ("grpc.primary_user_agent", f"alphacut/{__version__}"),
        ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
        # `retry` explains why gRPC's own are off.
        ("grpc.enable_retries", 0),
        ("grpc.service_config", _SERVICE_CONFIG),
        # No TXT look-up: the configuration above is the one that holds.
        ("grpc.service_config_disable_resolution", 1),
        # Replicas that come and go are seen within 5 s of a lost connection instead of 30.
        ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        # A restarted server is found again at once, an unreachable one is asked every 2 s at most often.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # In gRPC's words the minimum between attempts; what it sets is how long one connect may take.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        # A peer that vanished without a word is noticed within 40 s of a call; idle connections send nothing.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 0),
        # A client of one's own has a connection of its own: another's back-off, streams and close() stay its own.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if is_local(target):
        # http_proxy in the environment is not meant for this machine itself, but gRPC would use it.
        arguments.append(("grpc.enable_http_proxy", 0))
    if tls is not None and tls.server_name:
        arguments.append(("grpc.ssl_target_name_override", tls.server_name))
    return arguments


def is_local(target: str) -> bool:
    """Tell whether a resolved target names this machine: a Unix socket, localhost or a loopback address."""
    if re.match(r"^unix(-abstract)?:", target, re.IGNORECASE):
        return True
    address = re.sub(r"^(dns|ipv4|ipv6):/*", "", target, flags=re.IGNORECASE)
    try:
        host, _ = _split_host_port(address)
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split_host_port(text: str) -> tuple[str, int]:
    if _is_ipv6(text):
        return text, DEFAULT_PORT
    match = re.fullmatch(r"\[(?P<v6>[^\]]+)\](:(?P<v6_port>\d+))?|(?P<host>[^:\[\]]*)(:(?P<port>\d+))?", text)
    if match is None:
        raise ValueError(f"{text!r} is no address; name the server as HOST:PORT")
    port = match["v6_port"] or match["port"]
    return match["v6"] or match["host"] or "", DEFAULT_PORT if port is None else int(port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
