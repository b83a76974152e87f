"""The fake engine keeps its promises to the tests that lean on it."""

import threading

import numpy as np
import pytest

from alphacut_server.engine.fake import FakeEngine
from alphacut_server.errors import EngineFailed
from support.tiny_models import random_tensors


def test_the_answer_is_the_red_channel() -> None:
    """Every item's matte is its own tensor's red channel."""
    tensors = random_tensors(3, side_px=8)
    engine = FakeEngine()

    mattes = engine.infer(tensors)

    np.testing.assert_array_equal(mattes, np.stack(tensors)[..., 0])


def test_batches_are_recorded_as_copies() -> None:
    """What a caller does to its tensors later does not change the record."""
    tensors = random_tensors(2, side_px=8)
    original = np.stack(tensors)
    engine = FakeEngine()

    engine.infer(tensors)
    engine.infer(tensors[:1])
    tensors[0][:] = 0

    assert engine.batch_sizes == (2, 1)
    np.testing.assert_array_equal(engine.batches[0], original)


def test_only_the_calls_named_fail() -> None:
    """With fail_on={2} the second call raises, the first and the third do not."""
    tensors = random_tensors(1, side_px=8)
    engine = FakeEngine(fail_on={2})

    engine.infer(tensors)
    with pytest.raises(EngineFailed):
        engine.infer(tensors)
    engine.infer(tensors)

    assert engine.batch_sizes == (1, 1, 1)


def test_a_held_engine_answers_after_release() -> None:
    """Between hold and release a call is inside the device."""
    engine = FakeEngine()
    engine.hold()
    answers: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: answers.append(engine.infer(random_tensors(1, side_px=8))))

    thread.start()
    assert engine.entered.wait(10)
    answered_while_held = len(answers)
    engine.release()
    thread.join(10)

    assert answered_while_held == 0
    assert len(answers) == 1


def test_a_closed_engine_fails() -> None:
    """After close every call raises."""
    engine = FakeEngine()

    engine.close()

    with pytest.raises(EngineFailed):
        engine.infer(random_tensors(1, side_px=8))
