"""`alphacut models` as its users call it: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.catalogue.sources import Finished, Tools
from alphacut_server.catalogue.store import Store, hash_file
from alphacut_server.models_command import CATALOGUE_VARIABLE, STORE_VARIABLE, main
from support.catalogue import FakePackageManager, RecordedProgress, make_wheel
from support.published import publish_weights

SIDE_PX = 16


class Shop:
    """A catalogue of one small model, an empty store, and a package manager that has the weights."""

    def __init__(self, folder: Path) -> None:
        self.weights = publish_weights(side_px=SIDE_PX)
        self.manager = FakePackageManager({"c.whl": make_wheel(self.weights)})
        self.environ = {CATALOGUE_VARIABLE: str(folder / "models"), STORE_VARIABLE: str(folder / "store")}
        self.store = Store(folder / "store")
        (folder / "weights").write_bytes(self.weights)
        entry = folder / "models" / "tiny" / "model.toml"
        entry.parent.mkdir(parents=True)
        entry.write_text(
            f'description = "A small one."\nweights_license = "CC0-1.0"\nlicense_note = "made here"\n'
            f"side_px = {SIDE_PX}\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"
            f'[file]\nsha256 = "{hash_file(folder / "weights")}"\nsize_bytes = {len(self.weights)}\n'
            '[[file.sources]]\nkind = "wheel"\npackage = "carrier"\nversion = "1.2.3"\nmember = "carrier/weights.onnx"\n'
        )
        self.spec = load_catalogue(folder / "models").get("tiny")

    def run(self, *argv: str) -> int:
        """Run the command."""
        return main(list(argv), self.environ, Tools(run=self.manager, progress=RecordedProgress()))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Set the shop up."""
    return Shop(tmp_path)


def test_list_shows_what_is_there_to_be_pulled(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Before a pull: id, licence, purpose, and no state."""
    code = shop.run("list")

    out = capsys.readouterr().out
    assert code == 0
    assert "tiny" in out
    assert "CC0-1.0" in out
    assert "A small one." in out
    assert "pulled" not in out


def test_pull_prepares_too(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """After a pull the model is listed as pulled and ready, as text and as JSON."""
    pulled = shop.run("pull", "tiny")
    listed = shop.run("list")
    text = capsys.readouterr().out
    shop.run("list", "--json")

    (row,) = json.loads(capsys.readouterr().out)
    assert (pulled, listed) == (0, 0)
    assert "pulled, fp32 ready" in text
    assert row["pulled"] is True
    assert row["sha256"] == shop.spec.file.sha256
    assert [entry["precision"] for entry in row["prepared"]] == ["fp32"]


def test_pull_prepares_for_the_precision_asked_for(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """An image for GPUs carries the fp16 graph."""
    assert shop.run("pull", "--all", "--precision", "fp16") == 0

    assert "fp16 at 16 px" in capsys.readouterr().out


def test_store_flag_wins_over_the_environment(shop: Shop, tmp_path: Path) -> None:
    """--store names another place for once."""
    code = shop.run("pull", "tiny", "--store", str(tmp_path / "elsewhere"))

    assert code == 0
    assert Store(tmp_path / "elsewhere").find_weights(shop.spec) is not None
    assert shop.store.find_weights(shop.spec) is None


def test_failed_pull_exits_1_with_every_cause(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can tell failure from success, a person why."""
    shop.manager = FakePackageManager(ended=Finished(1, "ERROR: no such thing"))

    code = shop.run("pull", "tiny")

    assert code == 1
    assert "no such thing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["pull"], ["pull", "tiny", "--all"], ["pull", "tin"], ["verify", "tin"], [], ["x"]]
)
def test_wrong_use_exits_2(shop: Shop, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Usage mistakes have a code of their own, and a message on stderr."""
    assert shop.run(*argv) == 2

    assert capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["list", "--help"], ["pull", "--help"], ["verify", "--help"]])
def test_help_exits_0(shop: Shop, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb explains itself."""
    assert shop.run(*argv) == 0

    assert "usage: alphacut models" in capsys.readouterr().out


def test_interrupted_pull_exits_130(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is told apart from failure."""
    shop.manager.raises = KeyboardInterrupt()

    assert shop.run("pull", "tiny") == 130

    assert "interrupted" in capsys.readouterr().err


def test_verify_of_good_files_exits_0(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights and prepared graph are both hashed and named."""
    shop.run("pull", "tiny")

    code = shop.run("verify")

    out = capsys.readouterr().out
    assert code == 0
    assert "weights right" in out
    assert "prepared fp32 at 16 px right" in out


def test_verify_of_an_empty_store_exits_0(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing pulled is nothing wrong."""
    assert shop.run("verify") == 0

    assert "Nothing was pulled" in capsys.readouterr().out


def test_verify_of_a_named_model_that_is_absent_exits_1(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who names a model expects it to be there."""
    assert shop.run("verify", "tiny") == 1

    assert "alphacut models pull tiny" in capsys.readouterr().out


@pytest.mark.parametrize("pattern", ["weights-*.onnx", "prepared-*.onnx"])
def test_verify_names_the_damaged_file_and_a_pull_repairs_it(
    shop: Shop, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One flipped byte is found, told, and cured by the command that is told."""
    shop.run("pull", "tiny")
    (damaged,) = shop.store.folder("tiny").glob(pattern)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    found = shop.run("verify")
    repaired = shop.run("pull", "tiny")
    again = shop.run("verify")

    assert (found, repaired, again) == (1, 0, 0)
    assert "WRONG" in capsys.readouterr().out


def test_broken_catalogue_exits_1_and_says_where(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in an entry is not the caller's usage."""
    manifest = Path(shop.environ[CATALOGUE_VARIABLE]) / "tiny" / "model.toml"
    manifest.write_text("side_px = 1")

    assert shop.run("list") == 1

    assert str(manifest) in capsys.readouterr().err


def test_pull_goes_on_after_a_model_that_fails(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """One model that cannot be had does not keep the others from coming."""
    models = Path(shop.environ[CATALOGUE_VARIABLE])
    broken = (models / "tiny" / "model.toml").read_text().replace("carrier/weights.onnx", "carrier/none.onnx")
    (models / "absent").mkdir()
    (models / "absent" / "model.toml").write_text(broken)

    code = shop.run("pull", "--all")

    assert code == 1
    assert shop.store.find_weights(shop.spec) is not None
    assert "absent could not be pulled" in capsys.readouterr().err
