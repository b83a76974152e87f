"""A child follows its parent, and leaves quietly before it has begun."""

import ctypes
import os
import signal
from collections.abc import Iterator

import pytest

from alphacut_service.child import PR_SET_PDEATHSIG, follow_parent, leave_quietly


@pytest.fixture(autouse=True)
def unlinked() -> Iterator[None]:
    """Take the test run's own death signal off again."""
    yield
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)


def test_living_parent_is_followed() -> None:
    """The test run's own parent lives."""
    assert follow_parent(os.getppid())


def test_gone_parent_is_noticed() -> None:
    """A process that belongs to somebody else by now has lost its parent: nobody would ever stop it."""
    assert not follow_parent(os.getpid())


def test_signal_before_the_program_began_exits_clean() -> None:
    """There is nothing to drain yet, and no traceback to show."""
    with pytest.raises(SystemExit) as caught:
        leave_quietly(signal.SIGTERM, None)

    assert caught.value.code == 0
