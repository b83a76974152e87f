"""What is counted, and that the documentation lists just that."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from alphacut_server.batching.queue import Statistics
from alphacut_server.engine.engine import EngineInfo, Provider
from alphacut_server.observability.metrics import ServerMetrics
from alphacut_server.pipeline.types import Stage
from support.server import scrape

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "metrics.md"
NAME_CELL = re.compile(r"^\| *`(alphacut_\w+)` *\|(?: *(\w+) *\|)", re.MULTILINE)


@pytest.fixture
def registry() -> CollectorRegistry:
    """Return a registry of the test's own."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ServerMetrics:
    """Return the metrics on it."""
    return ServerMetrics(registry)


def documented() -> dict[str, str]:
    """Return name → type of the server's metrics, from the first two columns of the tables."""
    found = dict(NAME_CELL.findall(DOCUMENTATION.read_text(encoding="utf-8")))
    return {name: kind for name, kind in found.items() if not name.startswith("alphacut_gateway_")}


def test_the_documentation_lists_every_metric_and_no_other(
    metrics: ServerMetrics, registry: CollectorRegistry
) -> None:
    """By the name that a query uses, with its type."""
    metrics.watch_queue(lambda: Statistics(0, 0, 0, draining=False))

    real = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
        if family.name.startswith("alphacut_")
    }

    assert documented() == real


def test_a_call_is_open_until_it_ends(metrics: ServerMetrics, registry: CollectorRegistry) -> None:
    """Then it is counted with its mode, code, reason and time."""
    metrics.call_started("RemoveBackground")
    during = scrape(registry)["alphacut_calls_open{method=RemoveBackground}"]
    metrics.call_ended("RemoveBackground", "fg-mask", "OK", "", 0.25)

    after = scrape(registry)
    labels = {"method": "RemoveBackground", "mode": "fg-mask", "code": "OK", "reason": ""}
    assert during == 1
    assert after["alphacut_calls_open{method=RemoveBackground}"] == 0
    assert registry.get_sample_value("alphacut_requests_total", labels) == 1
    assert after["alphacut_request_duration_seconds_sum{method=RemoveBackground}"] == 0.25


@pytest.mark.parametrize(
    ("code", "reason", "dropped_as"),
    [
        ("RESOURCE_EXHAUSTED", "OVERLOADED", "overloaded"),
        ("UNAVAILABLE", "DRAINING", "draining"),
        ("CANCELLED", "", "cancelled"),
        ("INVALID_ARGUMENT", "IMAGE_NOT_LOADABLE", None),
        ("OK", "", None),
    ],
)
def test_what_leaves_before_the_device_is_dropped(
    metrics: ServerMetrics, registry: CollectorRegistry, code: str, reason: str, dropped_as: str | None
) -> None:
    """Calls and pictures of streams alike; a bad picture is not a drop."""
    metrics.call_started("RemoveBackground")
    metrics.call_ended("RemoveBackground", "", code, reason, 0.1)
    metrics.item_failed(code, reason)

    now = scrape(registry)
    assert now.get("alphacut_dropped_total", 0) == (2 if dropped_as else 0)
    if dropped_as:
        assert now[f"alphacut_dropped_total{{reason={dropped_as}}}"] == 2
    assert now["alphacut_stream_item_failures_total"] == 1


def test_keys_are_counted_by_name(metrics: ServerMetrics, registry: CollectorRegistry) -> None:
    """With a zero from the start for each; a key that went keeps its count."""
    metrics.keys_loaded(["shop", "archive"])
    before = scrape(registry)
    metrics.key_used("shop", "OK")
    metrics.key_used("shop", "INVALID_ARGUMENT")
    metrics.keys_loaded(["archive"])

    after = scrape(registry)
    assert (
        before["alphacut_key_requests_total{key=shop}"],
        before["alphacut_key_requests_total{key=archive}"],
    ) == (0, 0)
    assert after["alphacut_key_requests_total{key=shop}"] == 2
    labels = {"key": "shop", "code": "INVALID_ARGUMENT"}
    assert registry.get_sample_value("alphacut_key_requests_total", labels) == 1


def test_keys_are_stale_until_a_file_can_be_used_again(
    metrics: ServerMetrics, registry: CollectorRegistry
) -> None:
    """The log tells of a broken file once; this is what an alert watches."""
    shown = [scrape(registry)["alphacut_api_keys_stale"]]
    metrics.keys_rejected()
    shown.append(scrape(registry)["alphacut_api_keys_stale"])
    metrics.keys_loaded([])
    shown.append(scrape(registry)["alphacut_api_keys_stale"])

    assert shown == [0, 1, 0]


def test_batches_are_counted_by_model(metrics: ServerMetrics, registry: CollectorRegistry) -> None:
    """Their sizes, the delays of their members, device time and failures."""
    metrics.batch_dispatched("one", [0.002, 0.004, 0.006])
    metrics.batch_completed("one", 3, 0.5)
    metrics.batch_failed("two", 4, RuntimeError("as told"))
    metrics.tickets_expired(5)

    now = scrape(registry)
    assert (now["alphacut_batch_size_sum{model=one}"], now["alphacut_batch_size_count{model=one}"]) == (3, 1)
    assert now["alphacut_queue_delay_seconds_count"] == 3
    assert now["alphacut_queue_delay_seconds_sum"] == pytest.approx(0.012)
    assert now["alphacut_inference_duration_seconds_sum{model=one}"] == 0.5
    assert now["alphacut_batch_failures_total{model=two}"] == 1
    assert now["alphacut_dropped_total{reason=expired}"] == 5


def test_gauges_show_the_present(metrics: ServerMetrics, registry: CollectorRegistry) -> None:
    """Queue by state, memory, loaded models with the provider that runs them, readiness."""
    metrics.watch_queue(lambda: Statistics(preparing=1, waiting=2, running=3, draining=False))
    metrics.bytes_in_flight(1 << 20, 4)
    metrics.engine_loaded(EngineInfo("one", 320, Provider.CPU, 2), 1)
    metrics.stage_done(Stage.ENCODE, 0.125)
    metrics.ready_changed(is_ready=True)

    now = scrape(registry)
    depths = [now[f"alphacut_queue_depth{{state={state}}}"] for state in ("preparing", "waiting", "running")]
    assert depths == [1, 2, 3]
    assert (now["alphacut_inflight_bytes"], now["alphacut_inflight_waiting"]) == (1 << 20, 4)
    assert now["alphacut_engine_info{provider=cpu}"] == 1
    assert now["alphacut_stage_duration_seconds_sum{stage=encode}"] == 0.125
    assert now["alphacut_ready"] == 1
    metrics.ready_changed(is_ready=False)
    assert scrape(registry)["alphacut_ready"] == 0


def test_every_stage_has_a_series_from_the_start(metrics: ServerMetrics, registry: CollectorRegistry) -> None:
    """A dashboard shows zero, not nothing."""
    now = scrape(registry)

    for stage in Stage:
        assert now[f"alphacut_stage_duration_seconds_count{{stage={stage.value}}}"] == 0
