"""From settings to loaded models, over a tiny network that goes the whole way."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest

from alphacut_server.catalogue.faults import NotInCatalogue, NotPulled, PullFailed
from alphacut_server.models import load_models, open_store, prepare_models, settle_store
from alphacut_server.settings import BatchingSettings, EngineSettings, Settings
from support.pictures import noise
from support.server import emulated_settings
from support.tiny_store import TINY, TINY_SIDE_PX, tiny_engine


def test_a_pulled_model_is_prepared_loaded_and_measured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line tells where it really runs; the cost model is a real one."""
    with caplog.at_level(logging.INFO):
        (model,) = load_models(Settings(engine=tiny_engine(tmp_path)))

    (matte,) = model.engine.infer([noise(TINY_SIDE_PX, TINY_SIDE_PX)])
    assert (model.id, model.description, model.weights_license) == (TINY, "A network for tests.", "CC0-1.0")
    assert (matte.shape, matte.dtype) == ((TINY_SIDE_PX, TINY_SIDE_PX), np.uint8)
    assert model.lane.cost.batch_s(1) > 0
    assert 1 <= model.lane.max_batch_size <= 16
    (loaded,) = [record for record in caplog.records if record.message == "model_loaded"]
    assert vars(loaded)["provider"] == "cpu"


def test_the_emulated_model_needs_neither_catalogue_nor_store() -> None:
    """It is for measuring the server around the model."""
    settings = emulated_settings(base_ms=8, item_ms=1, batching=BatchingSettings(max_batch_size=8))

    (model,) = load_models(settings)

    assert (model.id, model.weights_license) == ("emulated", "none")
    assert model.lane.max_batch_size == 8
    assert model.lane.cost.batch_s(8) == pytest.approx(0.016, rel=0.5)


def test_further_models_are_loaded_behind_the_default(tmp_path: Path) -> None:
    """Each with an engine of its own."""
    engine = tiny_engine(tmp_path).model_copy(
        update={
            "model": "emulated",
            "extra_models": (TINY,),
            "emulated_base_ms": 1.0,
            "emulated_item_ms": 0.1,
        }
    )

    models = load_models(Settings(engine=engine))

    assert [model.id for model in models] == ["emulated", TINY]
    assert models[0].engine is not models[1].engine


def test_a_model_that_is_not_here_is_not_fetched_at_the_start(tmp_path: Path) -> None:
    """The message says which command does."""
    engine = tiny_engine(tmp_path, is_pulled=False)

    with pytest.raises(NotPulled, match="alphacut models pull tiny"):
        load_models(Settings(engine=engine))


def test_an_unknown_model_is_told_with_the_nearest(tmp_path: Path) -> None:
    """Before anything is pulled."""
    engine = tiny_engine(tmp_path).model_copy(update={"model": "tinny"})

    with pytest.raises(NotInCatalogue, match="Did you mean 'tiny'"):
        load_models(Settings(engine=engine))


def test_preparing_leaves_a_start_nothing_to_do(tmp_path: Path) -> None:
    """Twice in a row the second does nothing; and there is nothing to show."""
    engine, screen = tiny_engine(tmp_path), io.StringIO()

    prepare_models(Settings(engine=engine), screen)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("prepared-*.onnx")}
    prepare_models(Settings(engine=engine), screen)
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("prepared-*.onnx")}

    assert len(made) == 1
    assert again == made
    assert screen.getvalue() == ""


def test_preparing_pulls_what_is_missing_and_says_why_it_cannot(tmp_path: Path) -> None:
    """Every source with its cause; here the one there is does not exist."""
    engine = tiny_engine(tmp_path, is_pulled=False)
    screen = io.StringIO()

    with pytest.raises(PullFailed, match="every source failed"):
        prepare_models(Settings(engine=engine), screen)

    assert TINY in screen.getvalue()


def test_preparing_the_emulated_model_touches_nothing() -> None:
    """There is no store to settle for it."""
    screen = io.StringIO()

    prepare_models(emulated_settings(), screen)

    assert screen.getvalue() == ""


def test_the_store_s_place_is_settled_once(tmp_path: Path) -> None:
    """What was configured stays; else it is the checkout's or the user's own."""
    configured = Settings(engine=EngineSettings(store_dir=tmp_path))

    assert settle_store(configured, {}) is configured
    assert settle_store(Settings(), {}).engine.store_dir is not None
    assert open_store(settle_store(configured, {}).engine).root == tmp_path


def test_a_store_without_a_place_is_a_mistake_of_the_program() -> None:
    """Nobody guesses."""
    with pytest.raises(ValueError, match="not settled"):
        open_store(EngineSettings())
