"""The paths of the REST API."""

# Legacy callers have every path under this prefix as well.
PREFIXES = ("", "/img-bg-removal")
LIVE, READY = "/livez", "/readyz"
VERSION, MODES = "/v1/version", "/v1/modes"
# Callers use either.
RESULTS = ("/v1/results", "/v1/general/results")
DESCRIPTION, DOCS = "/openapi.json", "/docs"

PROBES = frozenset(prefix + path for prefix in PREFIXES for path in (LIVE, READY))


def is_probe(path: str) -> bool:
    """Tell whether a path is asked by an orchestrator, not by a caller."""
    return path in PROBES
