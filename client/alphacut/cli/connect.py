"""A client for what the command line names: a server, or one started in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from alphacut.channel import Tls
from alphacut.cli.arguments import ENV_API_KEY, Connection
from alphacut.cli.console import CommandError, ExitCode, UsageError
from alphacut.cli.extras import load_embedded, missing_runtime
from alphacut.client import Client
from alphacut.errors import AlphacutError, PermissionDenied, Unauthenticated
from alphacut.options import Quality

# How long a server may take to say its version; it is asked again meanwhile, so one that just starts is waited for.
_GREETING_S = 4.0


@contextmanager
def connect(connection: Connection, model: str, quality: Quality | None) -> Iterator[Client]:
    """Give a client whose server answers; raises CommandError when there is none to be had.

    model, quality: what a server that is started here serves by default.
    """
    if connection.server is None:
        with (
            _start_embedded(connection, model, quality) as target,
            Client(target, timeout_s=connection.timeout_s) as client,
        ):
            yield client
        return
    with open_client(connection) as client:
        greet(client, connection)
        yield client


def open_client(connection: Connection) -> Client:
    """Return a client of the named server, not yet connected."""
    assert connection.server is not None
    try:
        tls = None
        if connection.use_tls:
            tls = Tls.from_files(ca=connection.ca, certificate=connection.certificate, key=connection.key)
        return Client(connection.server, timeout_s=connection.timeout_s, api_key=connection.api_key, tls=tls)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error


def greet(client: Client, connection: Connection) -> str:
    """Return the server's version, or raise CommandError: before work starts rather than once for each picture."""
    server = connection.server
    try:
        return client.version(timeout_s=_GREETING_S)
    except (Unauthenticated, PermissionDenied) as error:
        said = (
            f"refuses the key: {error.message}"
            if connection.api_key
            else f"wants an API key: set {ENV_API_KEY}"
        )
        raise CommandError(f"{server} {said}", ExitCode.NO_SERVER) from error
    except AlphacutError as error:
        advice = "Is it running there, and is this its gRPC port?"
        raise CommandError(
            f"no alphacut server answers at {server}. {advice} ({error.message})", ExitCode.NO_SERVER
        ) from error


@contextmanager
def _start_embedded(connection: Connection, model: str, quality: Quality | None) -> Iterator[str]:
    """Give the target of a server in this process; what it raises at its start becomes a sentence."""
    start = load_embedded()
    try:
        server = start(log_level=connection.log_level, model=model, quality=quality or "")
        running = server.__enter__()
    except ImportError as error:
        raise missing_runtime(error) from error
    except Exception as error:
        # Another package's start: whatever is wrong there, the user is told in a sentence.
        if connection.log_level == "debug":
            raise
        raise CommandError(
            f"the server in this process did not start: {error}", ExitCode.NO_SERVER
        ) from error
    try:
        yield running.target
    finally:
        server.__exit__(None, None, None)
