"""The gateway's Prometheus metrics, in a registry of its own; label values come from closed sets."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from alphacut_gateway.room import Room

# From a probe's fraction of a millisecond to a large picture on a slow CPU.
DURATION_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


class Metrics:
    """What is counted of each request, and what is in work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "alphacut_gateway_requests",
            "HTTP requests answered, by route, method and status code.",
            ("route", "method", "code"),
            registry=registry,
        )
        self._durations = Histogram(
            "alphacut_gateway_request_duration_seconds",
            "Time from a request's head to the end of its answer, by route.",
            ("route",),
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        self._in_work = Gauge(
            "alphacut_gateway_inflight_requests", "HTTP requests being answered.", registry=registry
        )

    def watch_room(self, room: Room) -> None:
        """Tell how much memory requests have set aside, and how many wait for some, from now on."""
        held = Gauge(
            "alphacut_gateway_inflight_bytes",
            "Memory set aside for requests in work, copies of their bodies included.",
            registry=self.registry,
        )
        held.set_function(lambda: room.held_bytes)
        waiting = Gauge(
            "alphacut_gateway_waiting_requests",
            "HTTP requests that wait, unread, for memory.",
            registry=self.registry,
        )
        waiting.set_function(lambda: room.waiting)

    def began(self) -> None:
        """Count a request that begins."""
        self._in_work.inc()

    def ended(self, *, route: str, method: str, code: int, duration_s: float) -> None:
        """Count a request that has ended. route: a route's name, or `none`."""
        known_method = method if method in METHODS else "other"
        self._in_work.dec()
        self._requests.labels(route, known_method, str(code)).inc()
        self._durations.labels(route).observe(duration_s)
