"""How the batcher ends: draining, closing, and whoever is left."""

import threading

import pytest

from alphacut_server.errors import Draining
from support.batching import HANG_S, Mailbox, Rig, claim


def test_drain_finishes_the_admitted_and_refuses_the_new(rig: Rig) -> None:
    """Running, waiting and even preparing tickets are served; then drain says that all is done."""
    running = rig.occupy()
    _, waiting = rig.admit(1)
    preparing = Mailbox()
    ticket = rig.batcher.reserve(claim(), preparing.put)

    rig.batcher.stop_admitting()

    with pytest.raises(Draining):
        rig.batcher.reserve(claim(), Mailbox().put)
    assert not rig.batcher.drain(0.0)
    rig.batcher.submit(ticket, 2)
    rig.device.open()
    assert rig.batcher.drain(HANG_S)
    assert [mailbox.served().result for mailbox in (running, waiting, preparing)] == [0, 10, 20]


def test_an_idle_batcher_is_drained_at_once(rig: Rig) -> None:
    """Nobody there, nothing to wait for."""
    assert rig.batcher.drain(0.0)


def test_the_last_cancellation_ends_the_drain(rig: Rig) -> None:
    """A place whose caller goes away does not hold the shutdown up."""
    ticket = rig.batcher.reserve(claim(), Mailbox().put)
    assert not rig.batcher.drain(0.0)

    rig.batcher.cancel(ticket)

    assert rig.batcher.drain(0.0)


def test_close_settles_everybody_who_is_left(rig: Rig) -> None:
    """The running batch is finished; who waits or prepares is told to go elsewhere, and what is handed in later is ignored."""
    running = rig.occupy()
    _, waiting = rig.admit(1)
    preparing = Mailbox()
    ticket = rig.batcher.reserve(claim(), preparing.put)
    closing = threading.Thread(target=rig.batcher.close)
    closing.start()

    assert isinstance(waiting.error(), Draining)
    assert isinstance(preparing.error(), Draining)
    rig.batcher.submit(ticket, 2)
    rig.device.finish()

    closing.join(HANG_S)
    assert not closing.is_alive()
    assert running.served().result == 0
    assert rig.device.batches == [(0,)]


def test_closing_again_is_harmless(rig: Rig) -> None:
    """Shutdown paths may meet."""
    rig.batcher.close()
    rig.batcher.close()

    with pytest.raises(Draining):
        rig.batcher.reserve(claim(), Mailbox().put)
