"""What every engine checks of a batch."""

import numpy as np
import pytest

from alphacut_server.engine.engine import EngineInfo, Provider, check_batch
from support.tiny_models import random_tensors

INFO = EngineInfo("any", 16, Provider.CPU, max_batch_size=3)


@pytest.mark.parametrize("size", [1, 3])
def test_check_batch_accepts_every_size_up_to_the_limit(size: int) -> None:
    """A batch of 1 to max_batch_size proper tensors passes."""
    tensors = random_tensors(size)

    check_batch(tensors, INFO)


@pytest.mark.parametrize("size", [0, 4])
def test_check_batch_refuses_empty_and_oversized_batches(size: int) -> None:
    """No tensor, or one more than the limit, is a bug of the caller."""
    tensors = random_tensors(size) if size else []

    with pytest.raises(ValueError, match="wanted 1 to 3"):
        check_batch(tensors, INFO)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((16, 15, 3), np.uint8),
        np.zeros((16, 16), np.uint8),
        np.zeros((16, 16, 4), np.uint8),
        np.zeros((16, 16, 3), np.float32),
    ],
)
def test_check_batch_names_the_tensor_of_wrong_shape_or_type(bad: np.ndarray) -> None:
    """The message tells which item is wrong."""
    tensors = [*random_tensors(1), bad]

    with pytest.raises(ValueError, match="tensor 1"):
        check_batch(tensors, INFO)
