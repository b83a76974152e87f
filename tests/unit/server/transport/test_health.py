"""The serving state is a one-way door."""

from grpc_health.v1 import health_pb2

from alphacut_server.transport.health import SERVICE, HealthState

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def status(state: HealthState, name: str = SERVICE) -> int:
    """Ask as the port would."""
    request = health_pb2.HealthCheckRequest(service=name)
    answer = await state.servicer.Check(request, None)  # type: ignore[arg-type]  # a known name needs no context
    return int(answer.status)


async def test_nothing_serves_until_it_is_said() -> None:
    """The library says SERVING from construction; a probe must not see that."""
    state = HealthState()

    await state.begin()

    assert [await status(state, name) for name in ("", SERVICE)] == [NOT_SERVING, NOT_SERVING]


async def test_models_serve_under_names_of_their_own() -> None:
    """With the service and the server as a whole."""
    state = HealthState()
    await state.begin()

    await state.ready(("one", "two"))

    names = ("", SERVICE, f"{SERVICE}/one", f"{SERVICE}/two")
    assert [await status(state, name) for name in names] == [SERVING] * 4


async def test_after_shutdown_nothing_serves_again() -> None:
    """A load that ends while the server stops must not bring callers back."""
    state = HealthState()
    await state.begin()
    await state.ready(("one",))

    await state.shut_down()
    await state.ready(("one",))

    assert [await status(state, name) for name in ("", SERVICE, f"{SERVICE}/one")] == [NOT_SERVING] * 3
