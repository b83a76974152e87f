"""API keys in front of a real server: who is let in, how keys are changed while it runs, and that no key is ever shown."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from alphacut import AsyncClient, Client, RetryPolicy, Unauthenticated
from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut.v1.background_removal_service_pb2_grpc import BackgroundRemovalServiceStub
from alphacut_server.keys_command import main as keys_command
from support.api_keys import ARCHIVE_KEY, SHOP_KEY, line_of, write_keys
from support.cli import make_photos, run_cli
from support.images import small_png
from support.reflection import SERVICE, services_of
from support.server import EMULATED, HANG_S, ServerProcess, await_serving, running_server, starting_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ONCE = RetryPolicy(max_attempts=1)
WRONG_KEY = "alphacut_a-key-of-somebody-else"


@dataclass(frozen=True, slots=True)
class KeyedServer:
    """A server that asks for keys, and their file."""

    process: ServerProcess
    path: Path

    def client(self, api_key: str | None = None) -> Client:
        """Return a client with a key that gives up at once."""
        return Client(self.process.target, api_key=api_key, retry=ONCE, timeout_s=HANG_S)

    def is_let_in(self, api_key: str) -> bool:
        """Tell whether a key opens the door now."""
        with self.client(api_key) as client:
            try:
                client.version()
            except Unauthenticated:
                return False
        return True

    def await_door(self, api_key: str, *, is_open: bool) -> None:
        """Call until the server has noticed the changed file; every call is the pause before the next."""
        deadline_s = time.monotonic() + HANG_S
        while self.is_let_in(api_key) is not is_open:
            assert time.monotonic() < deadline_s, "the server never took the changed file"


def settings_for(path: Path) -> dict[str, str]:
    """Return the settings of a server with keys that logs everything."""
    return EMULATED | {
        "ALPHACUT_EMULATED_BASE_MS": "1",
        "ALPHACUT_LOG_LEVEL": "debug",
        "ALPHACUT_SERVER_API_KEYS_FILE": str(path),
    }


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[KeyedServer]:
    """Run a server that knows the shop and the archive; whatever a test did, no key is in its log or its metrics."""
    path = write_keys(
        tmp_path / "keys", line_of("shop", SHOP_KEY), line_of("archive", ARCHIVE_KEY, is_bulk=True)
    )
    with running_server(settings_for(path)) as process:
        yield KeyedServer(process, path)
        metrics = str(process.metrics())
    for secret in (SHOP_KEY, ARCHIVE_KEY, WRONG_KEY):
        assert secret not in process.log.text + metrics


def refusal(ask: Callable[[], object]) -> Unauthenticated:
    """Return what a refused call raised."""
    with pytest.raises(Unauthenticated) as caught:
        ask()
    return caught.value


def test_the_client_s_key_opens_every_method(keyed: KeyedServer) -> None:
    """One key for calls and streams; the server counts them by its name."""
    with keyed.client(SHOP_KEY) as client:
        version = client.version()
        modes, models = client.modes(), client.models()
        cutout = client.remove_background(small_png(1))
        streamed = list(client.remove_background_stream([("a", small_png(2)), ("b", small_png(3))]))

    assert version.startswith("v1.")
    assert (len(modes), [model.name for model in models]) == (3, ["emulated"])
    assert cutout.model == "emulated"
    assert sorted(result.id for result in streamed if result.error is None) == ["a", "b"]
    metrics = keyed.process.await_metrics(
        lambda now: now.get("alphacut_key_requests_total{key=shop}", 0) >= 5
    )
    assert metrics["alphacut_key_requests_total{key=shop}"] == 5
    assert metrics["alphacut_key_requests_total{key=archive}"] == 0


@pytest.mark.parametrize("key", [None, WRONG_KEY])
def test_without_a_valid_key_every_method_is_refused(keyed: KeyedServer, key: str | None) -> None:
    """With one answer for none and for a wrong one, which is not sent again and shows no key."""
    with keyed.client(key) as client:
        refused = [
            refusal(client.version),
            refusal(client.modes),
            refusal(client.models),
            refusal(lambda: client.remove_background(small_png(1))),
            refusal(lambda: list(client.remove_background_stream([("a", small_png(1))]))),
        ]

    assert {error.reason for error in refused} == {"UNAUTHENTICATED"}
    assert {error.attempts for error in refused} == {1}
    assert WRONG_KEY not in "".join(repr(vars(error)) for error in refused)
    # A caller may hear of its refusal a moment before it is counted.
    metrics = keyed.process.await_metrics(
        lambda found: found.get("alphacut_requests_total{reason=UNAUTHENTICATED}") == 5
    )
    assert metrics["alphacut_key_requests_total"] == 0


async def test_the_async_client_s_key_opens_the_door(keyed: KeyedServer) -> None:
    """And a wrong one does not."""
    async with AsyncClient(keyed.process.target, api_key=SHOP_KEY) as client:
        cutout = await client.remove_background(small_png(1))
    async with AsyncClient(keyed.process.target, api_key=WRONG_KEY) as client:
        with pytest.raises(Unauthenticated):
            await client.remove_background(small_png(1))

    assert cutout.model == "emulated"


def test_a_bearer_token_is_a_key_too(keyed: KeyedServer) -> None:
    """For callers whose tools know that header alone."""
    with grpc.insecure_channel(keyed.process.target) as channel:
        answer = BackgroundRemovalServiceStub(channel).GetVersion(
            service_pb2.GetVersionRequest(), metadata=(("authorization", f"Bearer {SHOP_KEY}"),)
        )

    assert answer.version.startswith("v1.")


def test_health_and_reflection_need_no_key(keyed: KeyedServer) -> None:
    """Probes and tools have none."""
    with grpc.insecure_channel(keyed.process.target) as channel:
        await_serving(channel)

        assert SERVICE in services_of(channel, "v1")
        assert SERVICE in services_of(channel, "v1alpha")
    with keyed.client() as client:
        assert client.is_serving()


def test_the_command_line_sends_a_key(keyed: KeyedServer, tmp_path: Path) -> None:
    """By flag or by variable; a refused one ends the run at once, and is not shown."""
    (photo,) = make_photos(tmp_path, "photo.png")
    photo.write_bytes(small_png(1))
    words = ("remove", photo, "--server", keyed.process.target, "--overwrite")

    by_flag = run_cli(*words, "--api-key", SHOP_KEY)
    by_variable = run_cli(*words, environ={"ALPHACUT_API_KEY": SHOP_KEY})
    refused = run_cli(*words, "--api-key", WRONG_KEY)

    assert (by_flag.code, by_variable.code) == (0, 0), by_flag.stderr + by_variable.stderr
    assert refused.code == 4
    assert "refuses the key" in refused.stderr
    assert WRONG_KEY not in refused.stderr


def test_keys_are_rotated_while_the_server_runs(
    keyed: KeyedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made, used, and the old one revoked, by the operator's command; the others notice nothing."""
    assert keys_command(["create", "shop-2", "--file", str(keyed.path)]) == 0
    new_key = capsys.readouterr().out.strip()
    keyed.await_door(new_key, is_open=True)
    assert keyed.is_let_in(SHOP_KEY)

    assert keys_command(["revoke", "shop", "--file", str(keyed.path)]) == 0
    keyed.await_door(SHOP_KEY, is_open=False)

    assert keyed.is_let_in(new_key)
    assert keyed.is_let_in(ARCHIVE_KEY)
    assert new_key not in keyed.process.log.text


def test_a_broken_file_leaves_the_running_server_as_it_was(keyed: KeyedServer) -> None:
    """The log and a metric say so, until the file is mended."""
    write_keys(keyed.path, "shop secret-word\n")
    with keyed.client(SHOP_KEY) as client:
        stale = keyed.process.await_metrics(
            lambda now: bool(client.version()) and now["alphacut_api_keys_stale"] == 1
        )
    told = keyed.process.log.await_event("api_keys_rejected")
    write_keys(keyed.path, line_of("shop", ARCHIVE_KEY))
    keyed.await_door(SHOP_KEY, is_open=False)

    assert stale["alphacut_api_keys_stale"] == 1
    assert told["level"] == "error"
    assert "line 1: " in str(told["note"])
    assert keyed.is_let_in(ARCHIVE_KEY)
    assert keyed.process.metrics()["alphacut_api_keys_stale"] == 0
    assert "secret-word" not in keyed.process.log.text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        ("# nobody yet\n", "holds no key"),
        ("shop secret-word\n", "line 1: after the name comes sha256:"),
    ],
)
def test_a_server_whose_keys_cannot_be_used_does_not_start(
    tmp_path: Path, content: str | None, says: str
) -> None:
    """It never opens its port: a server that was meant to ask for keys must not stand open."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)

    with starting_server(settings_for(path)) as server:
        code = server.wait()

    assert code == 1
    assert f"alphacut server: The API keys file {path}" in server.log.text
    assert says in server.log.text
    assert "port_opened" not in server.log.text
    assert "secret-word" not in server.log.text


def test_without_a_file_the_server_is_open(emulated_server: ServerProcess) -> None:
    """A key that is sent all the same is not looked at."""
    with Client(emulated_server.target, api_key=WRONG_KEY) as client:
        assert client.version().startswith("v1.")

    assert "alphacut_key_requests_total" not in emulated_server.metrics()
