"""Opening the port: in the clear, with TLS, and what is said when it cannot be."""

import shutil
import socket
from pathlib import Path

import grpc
import pytest

from alphacut_server.settings import ServerSettings
from alphacut_server.transport.server import PortUnavailable, bind, channel_options, tls_credentials
from support.certificates import Authority

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="certificates are made by the openssl program"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority's and a server's certificates, and a file that is none."""
    made = tmp_path_factory.mktemp("certificates")
    Authority(made).issue("server")
    (made / "garbage.pem").write_text("no certificate\n")
    return made


def settings_with(folder: Path, *, cert: str = "", key: str = "", client_ca: str = "") -> ServerSettings:
    """Return settings that name files in the folder; empty leaves one unset."""
    return ServerSettings(
        tls_cert_file=folder / cert if cert else None,
        tls_key_file=folder / key if key else None,
        tls_client_ca_file=folder / client_ca if client_ca else None,
    )


async def test_a_free_port_is_opened_and_told() -> None:
    """Port 0 lets the system choose."""
    port = bind(grpc.aio.server(), ServerSettings(), "127.0.0.1:0")

    assert 0 < port < 65536


async def test_a_port_in_use_is_refused_with_the_flag_that_moves_it() -> None:
    """By whatever program it is used."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(PortUnavailable, match="--grpc-port") as caught:
            bind(grpc.aio.server(options=channel_options(ServerSettings())), ServerSettings(), address)

    assert address in str(caught.value)


async def test_two_servers_of_ours_do_not_share_a_port() -> None:
    """gRPC's default would let them, and half of the calls would go to the wrong one."""
    options = channel_options(ServerSettings())
    first, second = grpc.aio.server(options=options), grpc.aio.server(options=options)
    port = bind(first, ServerSettings(), "127.0.0.1:0")

    with pytest.raises(PortUnavailable):
        bind(second, ServerSettings(), f"127.0.0.1:{port}")


def test_without_files_there_is_no_tls(tmp_path: Path) -> None:
    """Plain text is the default."""
    assert tls_credentials(settings_with(tmp_path)) is None


@needs_openssl
async def test_a_certificate_and_its_key_open_the_port(folder: Path) -> None:
    """With and without client certificates asked for."""
    for client_ca in ("", "authority.pem"):
        settings = settings_with(folder, cert="server.pem", key="server.key", client_ca=client_ca)

        assert bind(grpc.aio.server(), settings, "127.0.0.1:0") > 0


@needs_openssl
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"cert": "server.pem"}, "must be set together"),
        ({"key": "server.key"}, "must be set together"),
        ({"client_ca": "authority.pem"}, "needs tls_cert_file and tls_key_file"),
        ({"cert": "absent.pem", "key": "server.key"}, "absent.pem: No such file"),
        ({"cert": "garbage.pem", "key": "server.key"}, "are no certificate and its unlocked private key"),
        ({"cert": "server.pem", "key": "authority.key"}, "are no certificate and its unlocked private key"),
        ({"cert": "server.pem", "key": "server.key", "client_ca": "garbage.pem"}, "holds no PEM certificate"),
    ],
    ids=["no-key", "no-cert", "authority-alone", "absent", "garbage", "another-s-key", "garbage-authority"],
)
async def test_files_that_cannot_be_used_are_named(folder: Path, files: dict[str, str], said: str) -> None:
    """And the server does not serve in plain text instead."""
    with pytest.raises(PortUnavailable, match=said):
        bind(grpc.aio.server(), settings_with(folder, **files), "127.0.0.1:0")


@needs_openssl
async def test_a_port_in_use_is_not_blamed_on_good_certificates(folder: Path) -> None:
    """gRPC reports both in the same words."""
    settings = settings_with(folder, cert="server.pem", key="server.key")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = grpc.aio.server(options=channel_options(settings))

        with pytest.raises(PortUnavailable, match="Cannot listen"):
            bind(server, settings, f"127.0.0.1:{taken.getsockname()[1]}")
