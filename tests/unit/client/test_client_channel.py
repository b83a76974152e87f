"""Addresses as people write them, the channel's arguments, TLS and sockets."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from alphacut import Client
from alphacut.channel import Tls, channel_arguments, is_local, resolve_target
from support.fake_service import FakeServer


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cutouts", "dns:///cutouts:50051"),
        ("cutouts.internal:7000", "dns:///cutouts.internal:7000"),
        ("10.0.0.1:50051", "dns:///10.0.0.1:50051"),
        ("[::1]:7000", "dns:///[::1]:7000"),
        ("[::1]", "dns:///[::1]:50051"),
        ("::1", "dns:///[::1]:50051"),
        (" localhost:1 ", "dns:///localhost:1"),
        ("dns:///cutouts:7000", "dns:///cutouts:7000"),
        ("unix:/run/alphacut.sock", "unix:/run/alphacut.sock"),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1"),
        ("ipv6:[::1]:50051", "ipv6:[::1]:50051"),
    ],
)
def test_target_is_understood(given: str, expected: str) -> None:
    """Hosts get the default port and every address in turn; targets with a scheme stay as they are."""
    assert resolve_target(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://localhost:8080",
        "HTTPS://x",
        "host:",
        "host:0",
        "host:99999",
        "host:port",
        "a b:1",
        ":50051",
    ],
)
def test_target_that_is_none_is_refused(given: str) -> None:
    """What is no address fails where the client is made, in words, not at the first call."""
    with pytest.raises(ValueError, match=r"HOST:PORT|no port"):
        Client(given)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("dns:///localhost:50051", True),
        ("dns:///127.0.0.1:50051", True),
        ("dns:///[::1]:50051", True),
        ("unix:/run/x.sock", True),
        ("dns:///cutouts:50051", False),
        ("ipv4:10.0.0.1:1", False),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", False),
    ],
)
def test_this_machine_is_known(target: str, expected: bool) -> None:
    """Only sockets and loopback addresses count as this machine."""
    assert is_local(target) is expected


def test_proxy_stays_in_force_for_other_machines() -> None:
    """Only this machine is reached past the environment's proxy."""
    elsewhere = dict(channel_arguments("dns:///cutouts:50051", None))
    here = dict(channel_arguments("dns:///localhost:50051", None))

    assert "grpc.enable_http_proxy" not in elsewhere
    assert here["grpc.enable_http_proxy"] == 0


@pytest.mark.slow
def test_local_server_is_reached_past_the_environments_proxy(server: FakeServer) -> None:
    """A proxy in the environment, here a dead one, does not stand between two processes of one machine."""
    program = f"from alphacut import Client; print(Client({server.target!r}).version(timeout_s=20))"
    environ = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    environ.pop("no_proxy", None)
    environ.pop("NO_PROXY", None)

    done = subprocess.run(
        [sys.executable, "-c", program], check=False, env=environ, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "v1.2.3", done.stderr


def test_unix_socket_is_served(tmp_path: Path) -> None:
    """A Unix socket is a target like any other."""
    with FakeServer(address=f"unix:{tmp_path}/s") as server, Client(server.target) as client:
        assert client.version() == "v1.2.3"


def test_ipv6_is_served() -> None:
    """An IPv6 literal is a target like any other."""
    with FakeServer(address="[::1]:0") as server, Client(server.target) as client:
        assert client.version() == "v1.2.3"


def test_replies_of_many_megabytes_pass() -> None:
    """A reply far above gRPC's default 4 MiB arrives."""
    arguments = dict(channel_arguments("dns:///x:1", None))

    assert arguments["grpc.max_receive_message_length"] == 128 << 20
    assert arguments["grpc.max_send_message_length"] == 32 << 20


def test_half_a_client_certificate_is_refused() -> None:
    """A key without its certificate is a mistake told at once."""
    with pytest.raises(ValueError, match="both"):
        Tls(private_key=b"key")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for localhost and 127.0.0.1; returns certificate and key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with the openssl program")
def test_mutual_tls_is_spoken(tmp_path: Path) -> None:
    """With roots and an own certificate from files the client is let in by a server that asks for one."""
    certificate, key = make_certificate(tmp_path)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())], certificate.read_bytes(), require_client_auth=True
    )
    tls = Tls.from_files(ca=certificate, certificate=certificate, key=key)

    with FakeServer(credentials=credentials) as server, Client(server.target, tls=tls) as client:
        assert client.version() == "v1.2.3"
