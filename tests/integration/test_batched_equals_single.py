"""Real photos through the real server and the real model: what a caller gets does not depend on whom it was batched with."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from alphacut.v1 import background_removal_service_pb2 as service_pb2
from alphacut_server.models import LoadedModel, load_models, settle_store
from alphacut_server.settings import Device, EngineSettings, Settings
from support.images import read_png
from support.machinery import serving
from support.pictures import jpeg_bytes, photo
from support.rpc import request_for
from support.server import HANG_S, RunningApp

pytestmark = [pytest.mark.weights, pytest.mark.slow, pytest.mark.timeout(60)]

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")


@pytest.fixture
def u2netp(pulled_u2netp: None) -> LoadedModel:
    """Load u2netp on the CPU."""
    settings = Settings(engine=EngineSettings(model="u2netp", device=Device.CPU))
    (loaded,) = load_models(settle_store(settings, {}))
    return loaded


async def test_alpha_is_the_same_alone_and_in_a_batch(u2netp: LoadedModel) -> None:
    """Within 1/255 at every pixel, for four photos of different sizes, in batches of two and more."""
    contents = {name: jpeg_bytes(photo(name)) for name in PHOTOS}

    # On a CPU the cost model would choose batches of one; here the batcher is told to take four.
    async with serving(u2netp.engine, max_batch_size=4) as running:
        alone = {name: await cut(running, content) for name, content in contents.items()}
        # The first goes at once; the rest gathers behind it and runs as one batch.
        together = dict(
            zip(
                contents,
                await asyncio.gather(*(cut(running, each) for each in contents.values())),
                strict=True,
            )
        )

    assert {answer.batch_size for answer in alone.values()} == {1}
    assert max(answer.batch_size for answer in together.values()) >= 2
    for name in PHOTOS:
        one, other = alpha_of(alone[name]), alpha_of(together[name])
        assert one.shape == photo(name).shape[:2]
        assert np.abs(one - other).max() <= 1


async def cut(running: RunningApp, content: bytes) -> service_pb2.RemoveBackgroundResponse:
    """Cut one picture to a mask."""
    return await running.stub.RemoveBackground(request_for(content), timeout=HANG_S)


def alpha_of(answer: service_pb2.RemoveBackgroundResponse) -> NDArray[np.int16]:
    """Return a mask's values, signed so that they can be subtracted."""
    return read_png(answer.image.content).astype(np.int16)
