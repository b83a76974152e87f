"""Contact sheets: what is enlarged, and in which order photos come."""

from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from quality.product import Cut
from quality.scores import Judged, score
from quality.sheets import PHOTOS_A_PAGE, Strip, busiest_part, draw_strip, write_pages


def strip(badness: float, grey: int) -> Strip:
    """Make a strip of one grey."""
    encoded = cv2.imencode(".png", np.full((10, 20, 3), grey, np.uint8))[1]
    return Strip(badness, encoded.tobytes())


def test_part_is_where_the_edge_is_softest() -> None:
    """A feathered corner is chosen over long hard edges, whichever of the two alphas has it."""
    hard = np.zeros((400, 600), np.uint8)
    hard[50:350, 50:550] = 255
    feathered = hard.copy()
    feathered[300:350, 500:550] = 128

    for pair in ((feathered, hard), (hard, feathered)):
        rows, columns = busiest_part(*pair)

        assert rows.start <= 300
        assert rows.stop >= 350
        assert columns.start <= 500
        assert columns.stop >= 550


@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)).flatmap(
        lambda shape: st.tuples(arrays(np.uint8, shape), st.just(np.zeros(shape, np.uint8)))
    )
)
def test_part_lies_inside_the_picture(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    """Even pictures smaller than the part give a square of their own pixels."""
    levels, alpha = pair

    rows, columns = busiest_part(levels, alpha)

    assert 0 <= rows.start < rows.stop <= alpha.shape[0]
    assert 0 <= columns.start < columns.stop <= alpha.shape[1]
    assert rows.stop - rows.start == columns.stop - columns.start


def test_worst_photos_come_first_and_old_pages_go(tmp_path: Path) -> None:
    """Pages are full but the last, begin with the worst, and replace those of an earlier, longer run."""
    strips = [strip(number / 10, 10 * number) for number in range(PHOTOS_A_PAGE + 1)]
    (tmp_path / "page-009.png").write_bytes(b"old")

    pages = write_pages(strips, tmp_path)

    greys = [np.asarray(cv2.imread(str(page)))[5::10, 0, 0].tolist() for page in pages]
    assert greys == [[10 * number for number in range(PHOTOS_A_PAGE, 0, -1)], [0]]
    assert sorted(tmp_path.iterdir()) == pages


def test_strip_shows_the_cutout_on_every_ground() -> None:
    """Transparent parts take the ground's colour, opaque ones keep the photo's."""
    photo = np.full((60, 60, 3), (10, 200, 30), np.uint8)
    alpha = np.zeros((60, 60), np.uint8)
    alpha[:, 30:] = 255
    cutout = np.dstack([photo, alpha])
    scores = score("name", ("tag",), Judged(photo, alpha, None), alpha, None)

    drawn = draw_strip(Cut(photo, cutout, with_shadow=cutout), alpha, scores)

    bgr = np.asarray(cv2.imdecode(np.frombuffer(drawn.png, np.uint8), cv2.IMREAD_COLOR))
    image = bgr[..., ::-1]
    width = image.shape[1] // 7
    left = [tuple(image[100, column * width + 20].tolist()) for column in range(7)]
    right = [tuple(image[100, column * width + 150].tolist()) for column in range(7)]
    own, white, black = (10, 200, 30), (255, 255, 255), (0, 0, 0)
    assert left == [own, black, black, white, black, (255, 0, 255), white]
    assert right == [own, white, white, own, own, own, own]
    assert drawn.badness == 0
