"""TLS by configuration: encrypted for those who trust the authority, closed to everybody else."""

import shutil
from collections.abc import Iterator

import grpc
import pytest

from alphacut import Client, RetryPolicy, Tls, Unavailable
from support.certificates import Authority, Pair
from support.images import small_png
from support.server import EMULATED, HANG_S, ServerProcess, starting_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="certificates are made by the openssl program"
    ),
]

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that server and clients trust."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def server_pair(authority: Authority) -> Pair:
    """Return the server's certificate."""
    return authority.issue("server")


@pytest.fixture(scope="module")
def mutual_server(authority: Authority, server_pair: Pair) -> Iterator[ServerProcess]:
    """Run a server that wants client certificates."""
    settings = tls_settings(server_pair) | {"ALPHACUT_SERVER_TLS_CLIENT_CA_FILE": str(authority.certificate)}
    with starting_server(settings) as server:
        server.log.await_event("serving_started")
        yield server
        assert server.stop() == 0


def tls_settings(pair: Pair) -> dict[str, str]:
    """Return the settings of a server with TLS."""
    return {
        **EMULATED,
        "ALPHACUT_EMULATED_BASE_MS": "1",
        "ALPHACUT_SERVER_TLS_CERT_FILE": str(pair.certificate),
        "ALPHACUT_SERVER_TLS_KEY_FILE": str(pair.key),
    }


def cut(server: ServerProcess, tls: Tls | None) -> int:
    """Cut one picture; returns the mask's width."""
    with Client(server.target, tls=tls, retry=ONCE, timeout_s=HANG_S) as client:
        return client.remove_background(small_png(1), mode="fg-mask").width


def test_a_client_that_trusts_the_authority_is_served(
    authority: Authority, stranger: Authority, server_pair: Pair
) -> None:
    """With the authority's certificate it works; without TLS, or trusting another authority, it does not."""
    with starting_server(tls_settings(server_pair)) as server:
        server.log.await_event("serving_started")

        assert cut(server, Tls.from_files(ca=authority.certificate)) == 32
        with pytest.raises(Unavailable):
            cut(server, Tls.from_files(ca=stranger.certificate))
        with pytest.raises(Unavailable):
            cut(server, None)


def test_mutual_tls_wants_a_certificate_of_its_authority(
    mutual_server: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    """Its own clients get in; one without a certificate, or with a stranger's, does not."""
    ours, theirs = authority.issue("client"), stranger.issue("intruder")

    def as_client(pair: Pair | None) -> Tls:
        return Tls.from_files(
            ca=authority.certificate,
            certificate=pair.certificate if pair else None,
            key=pair.key if pair else None,
        )

    assert cut(mutual_server, as_client(ours)) == 32
    with pytest.raises(Unavailable):
        cut(mutual_server, as_client(None))
    with pytest.raises(Unavailable):
        cut(mutual_server, as_client(theirs))


def test_nothing_answers_before_the_client_certificate(
    authority: Authority, mutual_server: ServerProcess
) -> None:
    """The version, too, is behind the door: whatever is asked, the connection is not made."""
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(mutual_server.target, credentials) as channel:
        version: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        version = channel.unary_unary("/alphacut.v1.BackgroundRemovalService/GetVersion")

        with pytest.raises(grpc.RpcError) as caught:
            version(b"", timeout=HANG_S)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
