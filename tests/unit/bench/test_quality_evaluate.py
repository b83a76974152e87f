"""The evaluation from the command line, on pictures made here; no network runs."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from quality.evaluate import main

from alphacut_server.imaging.matte import upscale_matte

HEIGHT, WIDTH = 60, 80


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make photos, alphas and one foreground: a disc, and a square with a soft side."""
    for name in ("photos", "alphas", "foregrounds", "predictions"):
        (tmp_path / name).mkdir()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.where((y - 30) ** 2 + (x - 40) ** 2 < 400, 255, 0).astype(np.uint8)
    square = np.zeros((HEIGHT, WIDTH), np.uint8)
    square[10:50, 20:60] = 255
    square[10:50, 60:64] = 128
    for name, alpha in (("a_disc", disc), ("b_square", square)):
        photo = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
        photo[alpha > 0] = 180
        save(tmp_path / "photos" / f"{name}.png", photo)
        save(tmp_path / "alphas" / f"{name}.png", alpha)
    save(
        tmp_path / "foregrounds" / "b_square.png",
        np.dstack([np.full((HEIGHT, WIDTH, 3), 180, np.uint8), square]),
    )
    return tmp_path


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a PNG; colours here are greys, so that their order does not matter."""
    assert cv2.imwrite(str(path), pixels)


def load(path: Path) -> NDArray[np.uint8]:
    """Read a grey PNG."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def evaluate(folder: Path, *options: str) -> dict[str, Any]:
    """Run the command; returns what it wrote as JSON."""
    places = [f"--{name}={folder / name}" for name in ("photos", "alphas", "foregrounds")]
    main([*places, f"--json={folder / 'out.json'}", *options])
    written: dict[str, Any] = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    return written


def test_perfect_predictions_score_no_error(folder: Path) -> None:
    """The true alphas as masks score perfectly; file prefixes make the groups; report and sheet are written."""
    for alpha in (folder / "alphas").iterdir():
        save(folder / "predictions" / alpha.name, load(alpha))
    outputs = [
        f"--predictions={folder / 'predictions'}",
        f"--report={folder / 'out.md'}",
        f"--sheet={folder / 'sheet'}",
    ]

    written = evaluate(folder, *outputs)

    overall = written["all"]
    assert (overall["mae"], overall["iou"], overall["boundary_iou"], overall["band"]) == (0, 1, 1, 0)
    assert set(written["groups"]) == {"a", "b"}
    assert (folder / "out.md").read_text(encoding="utf-8").count("\n") == 5
    assert [page.name for page in (folder / "sheet").iterdir()] == ["page-001.png"]


def test_missing_prediction_counts_as_empty(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A photo without a prediction scores as if nothing had been found, and is named."""
    save(folder / "predictions" / "a_disc.png", load(folder / "alphas" / "a_disc.png"))

    written = evaluate(folder, f"--predictions={folder / 'predictions'}")

    assert written["by_photo"]["a_disc"]["iou"] == 1
    assert written["by_photo"]["b_square"]["iou"] == 0
    assert "scored as empty: b_square" in capsys.readouterr().err


def test_cutouts_are_judged_with_their_own_colours(folder: Path) -> None:
    """An RGBA prediction with the true colours has no halo; the same alpha with the wrong ones has."""
    alpha = load(folder / "alphas" / "b_square.png")
    save(folder / "predictions" / "a_disc.png", load(folder / "alphas" / "a_disc.png"))

    halos = []
    for grey in (180, 80):
        cutout = np.dstack([np.full((HEIGHT, WIDTH, 3), grey, np.uint8), alpha])
        save(folder / "predictions" / "b_square.png", cutout)
        halos.append(
            evaluate(folder, f"--predictions={folder / 'predictions'}")["by_photo"]["b_square"]["halo"]
        )

    assert halos == pytest.approx([0, 100 * 128 / 255])


def test_kept_mattes_go_the_products_way(folder: Path) -> None:
    """A kept matte is brought to the photo's size as the server does it, levels included; no model is loaded."""
    mattes = folder / "mattes"
    mattes.mkdir()
    for path in (folder / "alphas").iterdir():
        hazy = np.maximum(cv2.resize(load(path), (320, 320), interpolation=cv2.INTER_LINEAR), 10)
        save(mattes / path.name, np.asarray(hazy, np.uint8))

    written = evaluate(folder, "--model=u2netp", f"--mattes={mattes}", f"--store={folder / 'no-store'}")

    for name in ("a_disc", "b_square"):
        alpha = load(folder / "alphas" / f"{name}.png")
        served = upscale_matte(load(mattes / f"{name}.png"), HEIGHT, WIDTH)
        expected = np.abs(served.astype(float) - alpha).mean() / 255
        assert written["by_photo"][name]["mae"] == pytest.approx(expected)
        assert served.min() == 0


def test_raw_is_the_network_alone(folder: Path) -> None:
    """The yardstick has neither levels nor freed colours: the matte as it is, enlarged, under the photo's own."""
    mattes = folder / "mattes"
    mattes.mkdir()
    for path in (folder / "alphas").iterdir():
        save(mattes / path.name, np.full((320, 320), 10, np.uint8))

    written = evaluate(folder, "--raw", "--model=u2netp", f"--mattes={mattes}")

    disc = load(folder / "alphas" / "a_disc.png")
    assert written["label"] == "u2netp, raw"
    assert written["by_photo"]["a_disc"]["mae"] == pytest.approx(np.abs(10.0 - disc).mean() / 255)
    assert written["by_photo"]["b_square"]["halo_at_truth"] == 0


def test_colours_are_freed_as_the_profile_says(folder: Path) -> None:
    """Under the true alpha the side's colour is still the mixture with `fast`, and nearly the subject's with `balanced`."""
    alpha = load(folder / "alphas" / "b_square.png")
    photo = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    photo[alpha == 255] = 180
    photo[alpha == 128] = 120
    save(folder / "photos" / "b_square.png", photo)
    mattes = folder / "mattes"
    mattes.mkdir()
    for path in (folder / "alphas").iterdir():
        save(mattes / path.name, load(path))

    halos = {}
    for profile in ("fast", "balanced"):
        written = evaluate(folder, f"--profile={profile}", "--model=u2netp", f"--mattes={mattes}")
        halos[profile] = written["by_photo"]["b_square"]["halo_at_truth"]

    assert halos["fast"] == pytest.approx(60 * 128 / 255)
    assert halos["balanced"] < halos["fast"] / 4


def test_runs_are_compared_by_ratio(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second table divides every score by an earlier run's; what was zero there has no ratio."""
    for path in (folder / "alphas").iterdir():
        save(folder / "predictions" / path.name, load(path) // 2)
    predictions = f"--predictions={folder / 'predictions'}"
    evaluate(folder, predictions)
    (folder / "out.json").rename(folder / "earlier.json")
    for path in (folder / "alphas").iterdir():
        save(folder / "predictions" / path.name, load(path))
    capsys.readouterr()

    evaluate(folder, predictions, f"--against={folder / 'earlier.json'}")

    first, second = capsys.readouterr().out.split("\n\n")
    cells = [cell.strip() for cell in second.splitlines()[2].split("|")[1:-1]]
    assert first.splitlines()[0].split("|")[3:] == second.splitlines()[0].split("|")[3:]
    # MAE fell to nothing; no pixel reached one half before, so that IoU was zero.
    assert cells[:3] == ["all", "2", "0.000"]
    assert cells[7] == "–"


def test_comparing_with_other_photos_is_refused(folder: Path) -> None:
    """An earlier run over other photos is found out before anything is scored."""
    (folder / "earlier.json").write_text('{"by_photo": {"a_disc": {}}}', encoding="utf-8")

    with pytest.raises(SystemExit, match="other photos"):
        evaluate(folder, f"--predictions={folder / 'predictions'}", f"--against={folder / 'earlier.json'}")


def test_manifest_tags_make_the_groups(folder: Path) -> None:
    """With a manifest beside the photos, its tags are the groups, several a photo."""
    (folder / "manifest.csv").write_text(
        "name,tags\na_disc,round|product\nb_square,product\n", encoding="utf-8"
    )

    written = evaluate(folder, f"--predictions={folder / 'predictions'}")

    assert {name: group["photos"] for name, group in written["groups"].items()} == {"product": 2, "round": 1}


def test_alpha_without_its_photo_is_refused(folder: Path) -> None:
    """A truth that no photo belongs to is a mistake in the folders, said before anything runs."""
    save(folder / "alphas" / "c_lost.png", np.zeros((4, 4), np.uint8))

    with pytest.raises(SystemExit, match=r"no photo for c_lost\.png"):
        evaluate(folder, f"--predictions={folder / 'predictions'}")


def test_alpha_of_another_size_is_refused(folder: Path) -> None:
    """Scores would mean nothing where photo and truth do not lie on one another."""
    save(folder / "alphas" / "a_disc.png", np.zeros((HEIGHT, WIDTH + 1), np.uint8))

    with pytest.raises(SystemExit, match=r"a_disc\.png"):
        evaluate(folder, f"--predictions={folder / 'predictions'}")
