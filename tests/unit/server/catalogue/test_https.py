"""Downloads over http on loopback: resumed, restarted, bounded, and kept in part for the next pull."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from alphacut_server.catalogue.faults import SourceFailed
from alphacut_server.catalogue.https import download
from alphacut_server.catalogue.sources import Delivery, Tools
from alphacut_server.catalogue.spec import HttpsSource
from alphacut_server.catalogue.store import Store
from support.catalogue import WEIGHTS, FileServer, RecordedProgress, loopback_client, make_file, serving

HALF = len(WEIGHTS) // 2


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Serve the weights."""
    with serving(FileServer(WEIGHTS)) as running:
        yield running


def deliver(server: FileServer, tmp_path: Path) -> Delivery:
    """Describe the delivery of the server's file to a part in `tmp_path`."""
    tools = Tools(client=loopback_client, progress=RecordedProgress())
    return Delivery(make_file(sources=(server.source,)), tmp_path / "weights.part", Store(tmp_path), tools)


def test_whole_file_arrives_with_progress(server: FileServer, tmp_path: Path) -> None:
    """The file arrives byte for byte, and progress ends at its size."""
    progress = RecordedProgress()
    part = tmp_path / "weights.part"
    tools = Tools(client=loopback_client, progress=progress)

    download(server.source, Delivery(make_file(), part, Store(tmp_path), tools))

    assert part.read_bytes() == WEIGHTS
    assert progress.bytes_told[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert [done for done, _ in progress.bytes_told] == sorted({done for done, _ in progress.bytes_told})


def test_download_goes_on_where_an_earlier_one_stopped(server: FileServer, tmp_path: Path) -> None:
    """Only what is missing is asked for."""
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS[:HALF])

    download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS
    assert server.asked == [f"bytes={HALF}-"]


def test_broken_connection_is_taken_up_in_the_same_pull(server: FileServer, tmp_path: Path) -> None:
    """A connection that breaks after some headway is followed by another request for the rest."""
    server.breaks_after_bytes = [HALF]
    delivery = deliver(server, tmp_path)

    download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS
    assert server.asked[0] == ""
    assert server.asked[1].startswith("bytes=")


def test_server_without_ranges_is_asked_for_the_whole_file(server: FileServer, tmp_path: Path) -> None:
    """An answer of 200 to a Range request restarts the file in place of appending to it."""
    server.has_ranges = False
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS[:HALF])

    download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS


def test_answer_with_another_range_restarts(server: FileServer, tmp_path: Path) -> None:
    """Bytes from another place of the file are never appended."""
    server.range_answer = "bytes 0-9/10"
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS[:HALF])

    download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS
    assert server.asked == [f"bytes={HALF}-", ""]


def test_range_beyond_the_servers_file_restarts(server: FileServer, tmp_path: Path) -> None:
    """416 means that the part is of another file: it is dropped, and the shorter file is then found too short."""
    server.content = WEIGHTS[:100]
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS[:HALF])

    with pytest.raises(SourceFailed, match=f"sent 100 of {len(WEIGHTS)} bytes"):
        download(server.source, delivery)

    assert server.asked[:2] == [f"bytes={HALF}-", ""]


def test_whole_part_is_not_asked_for_again(server: FileServer, tmp_path: Path) -> None:
    """A part that is complete needs the check alone."""
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS)

    download(server.source, delivery)

    assert server.asked == []


def test_part_longer_than_the_file_is_started_anew(server: FileServer, tmp_path: Path) -> None:
    """More bytes than the catalogue announces cannot be a beginning of the file."""
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS + b"more")

    download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS
    assert server.asked == [""]


def test_file_larger_than_announced_is_cut_off_and_dropped(server: FileServer, tmp_path: Path) -> None:
    """A source cannot fill the disk: past the announced size it is refused, and nothing of it stays."""
    server.content = WEIGHTS + bytes(5_000_000)
    delivery = deliver(server, tmp_path)

    with pytest.raises(SourceFailed, match="larger than"):
        download(server.source, delivery)

    assert not delivery.target.exists()


@pytest.mark.parametrize("status", [403, 404, 503])
def test_refusal_is_named_and_keeps_the_part(server: FileServer, tmp_path: Path, status: int) -> None:
    """A server that refuses today says nothing about the bytes it gave yesterday."""
    server.status = status
    delivery = deliver(server, tmp_path)
    delivery.target.write_bytes(WEIGHTS[:HALF])

    with pytest.raises(SourceFailed, match=str(status)):
        download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS[:HALF]


def test_connection_that_never_gets_ahead_ends_with_the_cause(server: FileServer, tmp_path: Path) -> None:
    """Attempts are bounded; what had arrived stays for the next pull."""
    server.breaks_after_bytes = [HALF, 0, 0, 0]
    delivery = deliver(server, tmp_path)

    with pytest.raises(SourceFailed, match="connection failed"):
        download(server.source, delivery)

    assert len(server.asked) == 2
    kept = delivery.target.read_bytes()
    assert kept == WEIGHTS[: len(kept)]


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    """Release files answer with a redirect to where they lie."""
    server.redirects = 2
    delivery = deliver(server, tmp_path)

    download(server.source, delivery)

    assert delivery.target.read_bytes() == WEIGHTS


def test_endless_redirects_are_named(server: FileServer, tmp_path: Path) -> None:
    """A loop of redirects fails the source, not the program."""
    server.redirects = 1000
    delivery = deliver(server, tmp_path)

    with pytest.raises(SourceFailed, match="does not lead to a file"):
        download(server.source, delivery)


def test_nobody_at_the_address_is_named(tmp_path: Path) -> None:
    """A connection that is refused is a cause, not a traceback."""
    with serving(FileServer(WEIGHTS)) as gone:
        source = gone.source
    delivery = deliver(gone, tmp_path)

    with pytest.raises(SourceFailed, match="connection failed"):
        download(source, delivery)


def test_interruption_keeps_what_arrived(server: FileServer, tmp_path: Path) -> None:
    """Ctrl-C in the middle leaves the part for the next pull."""

    def interrupt(done_bytes: int) -> None:
        raise KeyboardInterrupt

    tools = Tools(client=loopback_client, progress=RecordedProgress(on_advance=interrupt))
    part = tmp_path / "weights.part"

    with pytest.raises(KeyboardInterrupt):
        download(server.source, Delivery(make_file(), part, Store(tmp_path), tools))

    kept = part.read_bytes()
    assert 0 < len(kept) < len(WEIGHTS)
    assert kept == WEIGHTS[: len(kept)]


def test_address_of_no_protocol_is_named(tmp_path: Path) -> None:
    """An address that httpx cannot use fails the source alone."""
    delivery = Delivery(make_file(), tmp_path / "p", Store(tmp_path), Tools(client=loopback_client))

    with pytest.raises(SourceFailed, match="does not lead to a file"):
        download(HttpsSource("nothing://x"), delivery)


def test_requests_ask_for_no_compression(tmp_path: Path) -> None:
    """Range counts the bytes as they travel, so they must travel as they are."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Accept-Encoding"])
        return httpx.Response(200, stream=httpx.ByteStream(WEIGHTS))

    tools = Tools(client=lambda: httpx.Client(transport=httpx.MockTransport(answer)))
    download(HttpsSource("https://x.test/w"), Delivery(make_file(), tmp_path / "p", Store(tmp_path), tools))

    assert seen == ["identity"]
