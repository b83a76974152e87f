"""The /metrics port: prometheus-client's own HTTP server on a thread of its own."""

import threading
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server


class MetricsUnavailable(Exception):
    """The metrics port cannot be listened on; the message says what to do."""


class MetricsEndpoint:
    """Serves one registry on one port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._running: tuple[WSGIServer, threading.Thread] | None = None

    def open(self, host: str, port: int) -> None:
        """Listen on `host`:`port`; 0 leaves it off. Raises MetricsUnavailable."""
        if port == 0:
            return
        try:
            self._running = start_http_server(port, addr=host, registry=self._registry)
        except OSError as error:
            raise MetricsUnavailable(
                f"Cannot listen on {host}:{port} for metrics ({error.strerror}). "
                "Choose another port with --metrics-port, or 0 for none."
            ) from error

    def close(self) -> None:
        """Stop listening; idempotent."""
        if self._running is not None:
            server, thread = self._running
            self._running = None
            server.shutdown()
            server.server_close()
            thread.join()
