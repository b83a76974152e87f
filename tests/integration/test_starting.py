"""How a server starts, what it says when it cannot, and how it ends while it starts."""

import signal
from collections.abc import Mapping

import grpc
import pytest

from support.server import EMULATED, HANG_S, ServerProcess, starting_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
VERSION = "/alphacut.v1.BackgroundRemovalService/GetVersion"


def ended(settings: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Start a server that ends by itself; return its exit code and what it said."""
    with starting_server(settings, arguments) as server:
        return server.wait(), server.log.text


def test_two_servers_do_not_share_a_port() -> None:
    """gRPC would let them by default, and half of the calls would go to the wrong one."""
    with starting_server(EMULATED) as first:
        first.await_serving()

        code, said = ended({**EMULATED, "ALPHACUT_GRPC_PORT": first.target.rpartition(":")[2]})

    assert code == 1
    assert "Cannot listen" in said


def test_an_unknown_model_ends_the_start_and_names_the_nearest() -> None:
    """Exit code 1, one sentence, no traceback."""
    code, said = ended({"ALPHACUT_MODEL": "u2nett"})

    assert code == 1
    assert "Did you mean 'u2net" in said
    assert "Traceback" not in said


def test_a_misspelt_variable_is_told_once_and_the_server_starts() -> None:
    """Kubernetes injects variables of its own, so an unknown one is a warning."""
    with starting_server({**EMULATED, "ALPHACUT_MODLE": "u2netp"}) as server:
        warning = server.log.await_event("setting_doubtful")
        server.await_serving()

    assert "ALPHACUT_MODLE" in str(warning["note"])
    assert "ALPHACUT_MODEL" in str(warning["note"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_loading_ends_the_start_in_order(number: signal.Signals) -> None:
    """Nothing was admitted, so nothing is lost: exit code 0, and it never says that it serves."""
    slow_to_load = {**EMULATED, "ALPHACUT_EMULATED_BASE_MS": "60", "ALPHACUT_BATCHING_MAX_BATCH_SIZE": "4"}
    with starting_server(slow_to_load) as server:
        server.log.await_event("port_opened")

        server.send(number)
        code = server.wait()

    assert code == 0, server.log.text
    assert "serving_started" not in server.log.text
    assert "Traceback" not in server.log.text


def test_logs_are_json_events_with_the_port_and_the_provider() -> None:
    """An operator sees in one line each where it listens and what really runs the model."""
    with starting_server(EMULATED) as server:
        server.await_serving()
        loaded = server.log.await_event("model_loaded")
        opened = server.log.await_event("port_opened")
        code = server.stop()

    assert (loaded["model"], loaded["provider"]) == ("emulated", "emulated")
    assert isinstance(opened["grpc_port"], int)
    assert code == 0


def test_health_and_reflection_can_be_switched_off() -> None:
    """What is off answers UNIMPLEMENTED; the service itself goes on."""
    off = {"ALPHACUT_SERVER_HEALTH": "false", "ALPHACUT_SERVER_REFLECTION": "false"}
    with starting_server(EMULATED | off) as server:
        server.log.await_event("serving_started")

        answers = {path: answer_code(server, path) for path in (HEALTH, REFLECTION, VERSION)}

    assert answers == {HEALTH: "UNIMPLEMENTED", REFLECTION: "UNIMPLEMENTED", VERSION: "OK"}


def answer_code(server: ServerProcess, path: str) -> str:
    """Call a method with an empty message and return the status code's name."""
    with grpc.insecure_channel(server.target) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        try:
            call(b"", timeout=HANG_S)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"
