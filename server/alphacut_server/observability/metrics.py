"""Prometheus metrics of the server, on a registry that is passed in. Label values come from closed sets.

The names, units and meanings are listed in docs/metrics.md, which a test keeps equal to what stands here.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from alphacut_server.batching.queue import Statistics
from alphacut_server.engine.engine import EngineInfo
from alphacut_server.pipeline.types import Stage

# A mask of 64 x 64 takes 10 ms on a fast accelerator, a queue of pictures on two CPU cores a minute.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
DELAY_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
SIZE_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)


class ServerMetrics:
    """Hears everything worth counting: implements CallObserver, KeyObserver, KeyFileObserver, BatchObserver, PipelineObserver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "alphacut_requests",
            "Calls answered, by method, mode (where there is one), gRPC status code and reason.",
            ("method", "mode", "code", "reason"),
            registry=registry,
        )
        self._request_duration = Histogram(
            "alphacut_request_duration_seconds",
            "Time from a call's arrival to its answer.",
            ("method",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._calls_open = Gauge("alphacut_calls_open", "Calls being served.", ("method",), registry=registry)
        self._stream_failures = Counter(
            "alphacut_stream_item_failures",
            "Pictures of streams that failed, by status code and reason.",
            ("code", "reason"),
            registry=registry,
        )
        self._key_requests = Counter(
            "alphacut_key_requests",
            "Calls answered that an API key let in, by the key's name and gRPC status code.",
            ("key", "code"),
            registry=registry,
        )
        self._keys_stale = Gauge(
            "alphacut_api_keys_stale",
            "1 while the file of API keys cannot be used and the keys before it still hold.",
            registry=registry,
        )
        stages = Histogram(
            "alphacut_stage_duration_seconds",
            "Time one picture spent in a stage.",
            ("stage",),
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        # Finding a labelled child takes longer than counting; the label sets are closed, so the children can be kept.
        self._open_calls_of = cache(self._calls_open.labels)
        self._requests_of = cache(self._requests.labels)
        self._key_requests_of = cache(self._key_requests.labels)
        self._request_duration_of = cache(self._request_duration.labels)
        self._stage_duration = {stage: stages.labels(stage.value) for stage in Stage}
        self._queue_delay = Histogram(
            "alphacut_queue_delay_seconds",
            "Time from standing in the queue to the dispatch of the batch.",
            buckets=DELAY_BUCKETS,
            registry=registry,
        )
        self._batch_size = Histogram(
            "alphacut_batch_size",
            "Pictures in a batch.",
            ("model",),
            buckets=SIZE_BUCKETS,
            registry=registry,
        )
        self._inference = Histogram(
            "alphacut_inference_duration_seconds",
            "Device time of a batch.",
            ("model",),
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._batch_failures = Counter(
            "alphacut_batch_failures", "Batches whose device call raised.", ("model",), registry=registry
        )
        self._dropped = Counter(
            "alphacut_dropped",
            "Pictures that left before the device: refused (overloaded, draining), expired, cancelled.",
            ("reason",),
            registry=registry,
        )
        self._inflight_bytes = Gauge(
            "alphacut_inflight_bytes", "Memory granted to decoded pictures.", registry=registry
        )
        self._inflight_waiting = Gauge(
            "alphacut_inflight_waiting", "Pictures that wait for that memory.", registry=registry
        )
        self._engine_info = Gauge(
            "alphacut_engine_info",
            "1 for each loaded model; the provider is the one that really runs it.",
            ("model", "provider", "side_px", "max_batch_size"),
            registry=registry,
        )
        self._ready = Gauge("alphacut_ready", "1 while cut-outs are served.", registry=registry)

    def watch_queue(self, statistics: Callable[[], Statistics]) -> None:
        """Report the queue's depth whenever somebody scrapes."""
        self._registry.register(_QueueCollector(statistics))

    def engine_loaded(self, info: EngineInfo, max_batch_size: int) -> None:
        """Tell of a loaded model and the largest batch it is given."""
        self._engine_info.labels(info.model, info.provider.value, str(info.side_px), str(max_batch_size)).set(
            1
        )

    def ready_changed(self, *, is_ready: bool) -> None:
        """Tell whether cut-outs are served."""
        self._ready.set(1 if is_ready else 0)

    def call_started(self, method: str) -> None:
        """A call came in."""
        self._open_calls_of(method).inc()

    def call_ended(self, method: str, mode: str, code: str, reason: str, seconds: float) -> None:
        """It was answered."""
        self._open_calls_of(method).dec()
        self._requests_of(method, mode, code, reason).inc()
        self._request_duration_of(method).observe(seconds)
        self._count_drop(code, reason)

    def item_failed(self, code: str, reason: str) -> None:
        """One picture of a stream failed."""
        self._stream_failures.labels(code, reason).inc()
        self._count_drop(code, reason)

    def _count_drop(self, code: str, reason: str) -> None:
        if reason in ("OVERLOADED", "DRAINING"):
            self._dropped.labels(reason.lower()).inc()
        elif code == "CANCELLED":
            self._dropped.labels("cancelled").inc()

    def keys_loaded(self, names: Sequence[str]) -> None:
        """These API keys hold; those that went keep their counts."""
        self._keys_stale.set(0)
        for name in names:
            self._key_requests_of(name, "OK")

    def keys_rejected(self) -> None:
        """The file of API keys cannot be used as it is."""
        self._keys_stale.set(1)

    def key_used(self, key: str, code: str) -> None:
        """A call with this key was answered."""
        self._key_requests_of(key, code).inc()

    def batch_dispatched(self, key: Hashable, queue_delays_s: Sequence[float]) -> None:
        """A batch goes to the device."""
        self._batch_size.labels(str(key)).observe(len(queue_delays_s))
        for delay_s in queue_delays_s:
            self._queue_delay.observe(delay_s)

    def batch_completed(self, key: Hashable, size: int, seconds: float) -> None:
        """The device is done with it."""
        self._inference.labels(str(key)).observe(seconds)

    def batch_failed(self, key: Hashable, size: int, error: Exception) -> None:
        """The device call raised."""
        self._batch_failures.labels(str(key)).inc()

    def tickets_expired(self, count: int) -> None:
        """So many could not meet their deadline."""
        self._dropped.labels("expired").inc(count)

    def stage_done(self, stage: Stage, seconds: float) -> None:
        """One stage of one call took so long."""
        self._stage_duration[stage].observe(seconds)

    def bytes_in_flight(self, held_bytes: int, waiting: int) -> None:
        """So much memory is granted."""
        self._inflight_bytes.set(held_bytes)
        self._inflight_waiting.set(waiting)


class _QueueCollector(Collector):
    """Reads the queue when scraped, so that the hot path pays nothing."""

    def __init__(self, statistics: Callable[[], Statistics]) -> None:
        self._statistics = statistics

    def collect(self) -> list[GaugeMetricFamily]:
        """Return the queue's depth by state."""
        now = self._statistics()
        family = GaugeMetricFamily("alphacut_queue_depth", "Pictures by state.", labels=("state",))
        for state, count in (
            ("preparing", now.preparing),
            ("waiting", now.waiting),
            ("running", now.running),
        ):
            family.add_metric((state,), count)
        return [family]
