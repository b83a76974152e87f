"""Means over photos and groups, and the table they are written into."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from quality.scores import (
    Judged,
    PhotoScores,
    TrueForeground,
    as_json,
    group_by,
    markdown_table,
    mean_of,
    ratio_table,
    score,
)

ALPHA = np.zeros((32, 32), np.uint8)
ALPHA[8:24, 8:24] = 255
SOFT = ALPHA.copy()
SOFT[8:24, 24] = 128
RGB = np.full((32, 32, 3), 90, np.uint8)


def scored(name: str, levels: NDArray[np.uint8], *groups: str) -> PhotoScores:
    """Score one prediction against the square."""
    return score(name, groups, Judged(RGB, levels, None), ALPHA, None)


def test_max_f_of_a_set_is_of_the_mean_curve() -> None:
    """One threshold serves all photos: two that are each right at their own threshold do not both count."""
    low, high = scored("low", ALPHA // 4), scored("high", np.maximum(ALPHA, 128))

    both = mean_of([low, high])

    assert low.scores.max_f == high.scores.max_f == pytest.approx(1)
    assert both.max_f == pytest.approx(max((low.f_curve + high.f_curve) / 2))
    assert both.max_f < 1


def test_photos_without_a_measure_do_not_count_in_its_mean() -> None:
    """Band error is the mean of the photos that have a band, not pulled down by hard masks."""
    hard = scored("hard", ALPHA)
    soft = score("soft", (), Judged(RGB, ALPHA, None), SOFT, None)

    assert hard.scores.band is None
    assert soft.scores.band is not None
    assert mean_of([hard, soft]).band == soft.scores.band
    assert mean_of([hard]).band is None


def test_halo_needs_the_true_foreground() -> None:
    """Both halos are known where the true colours are; the one at the truth only when colours were asked for."""
    judged = Judged(RGB, SOFT, rgb_at_truth=RGB)
    true = TrueForeground(np.full_like(RGB, 100))

    known = score("known", (), judged, SOFT, true).scores
    unasked = score("unasked", (), replace(judged, rgb_at_truth=None), SOFT, true).scores
    unknown = score("unknown", (), judged, SOFT, None).scores

    assert known.halo == known.halo_at_truth == pytest.approx(10 * 128 / 255)
    assert (unasked.halo, unasked.halo_at_truth) == (known.halo, None)
    assert (unknown.halo, unknown.halo_at_truth) == (None, None)


def test_photo_counts_in_every_group_it_has() -> None:
    """Rows come by group name; a photo with two tags is in both."""
    one, other = scored("one", ALPHA, "fur", "animal"), scored("other", ALPHA // 2, "animal")

    groups = group_by([one, other])
    table = markdown_table("x", [one, other]).splitlines()

    assert groups == {"animal": [one, other], "fur": [one]}
    assert [line.split("|")[1:3] for line in table[2:]] == [
        [" all ", " 2 "],
        [" animal ", " 2 "],
        [" fur ", " 1 "],
    ]
    assert len({line.count("|") for line in table}) == 1


def test_json_holds_all_groups_and_photos() -> None:
    """What is written is plain data with the means and every photo's own scores."""
    one, other = scored("one", ALPHA, "fur"), scored("other", np.zeros_like(ALPHA), "fur")

    written = json.loads(json.dumps(as_json("x", [one, other])))

    assert written["photos"] == 2
    assert written["groups"]["fur"] == {"photos": 2, **written["all"]}
    assert written["by_photo"]["other"]["sad"] == pytest.approx(0.256)
    assert written["all"]["sad"] == pytest.approx(0.128)


def test_ratios_need_the_same_photos() -> None:
    """Means over different photos do not compare: the difference is refused, not divided."""
    one, other = scored("one", ALPHA), scored("other", ALPHA)

    with pytest.raises(ValueError, match="other photos"):
        ratio_table("x", [one], as_json("y", [one, other]))
