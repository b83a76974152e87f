"""A stranger's client: it knows the service by reflection alone, and gets a correct cut-out of a real photo in each mode."""

import hashlib
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from support.images import png, read_png, tight_box
from support.pictures import jpeg_bytes, photo
from support.reflection import SERVICE, ReflectedService, services_of

pytestmark = [pytest.mark.weights, pytest.mark.slow, pytest.mark.timeout(60)]

MODES = ("MODE_FG_IMAGE", "MODE_FG_MASK", "MODE_FG_IMAGE_SHADOW")
PHOTOS = ("astronaut.png", "coffee.png")


@dataclass(frozen=True, slots=True)
class Answers:
    """One photo and what came back for it, by mode."""

    rgb: NDArray[np.uint8]
    content: bytes
    replies: dict[str, Any]  # messages whose class only reflection knows
    pixels: dict[str, NDArray[np.uint8]]


@pytest.fixture(scope="module")
def service(cut_channel: grpc.Channel) -> ReflectedService:
    """Return the service as reflection tells it."""
    return ReflectedService(cut_channel)


@pytest.fixture(scope="module", params=PHOTOS)
def answers(service: ReflectedService, request: pytest.FixtureRequest) -> Answers:
    """Cut one photo in every mode."""
    rgb = photo(request.param)
    content = png(rgb)
    replies = {mode: cut(service, content, mode, name=request.param) for mode in MODES}
    pixels = {mode: read_png(reply.image.content) for mode, reply in replies.items()}
    return Answers(rgb, content, replies, pixels)


def cut(service: ReflectedService, content: bytes, mode: str, name: str = "") -> Any:
    """Cut one picture; the message's class only reflection knows."""
    request: Any = service.new("RemoveBackground")
    request.image.content = content
    request.image.name = name
    request.mode = service.enum_value("alphacut.v1.Mode", mode)
    return service.call("RemoveBackground", request)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_name_the_service(cut_channel: grpc.Channel, version: str) -> None:
    """Tools of either generation find it."""
    services = services_of(cut_channel, version)

    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)


def test_replies_have_the_photo_s_size_and_the_mode_s_channels(answers: Answers) -> None:
    """A mask has one channel, a cut-out four."""
    height, width = answers.rgb.shape[:2]

    assert answers.pixels["MODE_FG_MASK"].shape == (height, width)
    assert answers.pixels["MODE_FG_IMAGE"].shape == (height, width, 4)
    assert answers.pixels["MODE_FG_IMAGE_SHADOW"].shape == (height, width, 4)
    for reply in answers.replies.values():
        assert (reply.width, reply.height) == (width, height)
        assert (reply.image.width, reply.image.height) == (width, height)


def test_alpha_reaches_both_ends_and_parts_the_photo(answers: Answers) -> None:
    """There is a background that is gone and a subject that is whole; neither is a sliver."""
    alpha = answers.pixels["MODE_FG_IMAGE"][..., 3]

    assert alpha.min() == 0
    assert alpha.max() == 255
    assert (alpha == 0).mean() > 0.1
    assert (alpha == 255).mean() > 0.1


def test_opaque_pixels_are_the_photo_s_own_and_gone_ones_are_black(answers: Answers) -> None:
    """Nothing is repainted where the subject is solid; nothing is left where it is not."""
    cutout = answers.pixels["MODE_FG_IMAGE"]
    alpha = cutout[..., 3]

    assert np.array_equal(cutout[alpha == 255][:, :3], answers.rgb[alpha == 255])
    assert not cutout[alpha == 0][:, :3].any()


def test_the_mask_is_the_cut_out_s_alpha(answers: Answers) -> None:
    """Two modes, one truth."""
    assert np.array_equal(answers.pixels["MODE_FG_MASK"], answers.pixels["MODE_FG_IMAGE"][..., 3])


def test_the_box_is_tight_around_the_subject_in_every_mode(answers: Answers) -> None:
    """A shadow does not widen it."""
    expected = tight_box(answers.pixels["MODE_FG_MASK"])

    for reply in answers.replies.values():
        (found,) = reply.objects
        box = found.box
        assert (box.x, box.y, box.width, box.height) == pytest.approx(expected, abs=1e-12)


def test_a_shadow_leaves_the_subject_alone_and_adds_something_below(answers: Answers) -> None:
    """Opaque pixels stay; alpha only grows; where it grew from nothing the colour is black."""
    plain, shadowed = answers.pixels["MODE_FG_IMAGE"], answers.pixels["MODE_FG_IMAGE_SHADOW"]
    solid, gone = plain[..., 3] == 255, plain[..., 3] == 0

    assert np.array_equal(shadowed[solid], plain[solid])
    assert (shadowed[..., 3] >= plain[..., 3]).all()
    assert (shadowed[..., 3] > plain[..., 3]).any()
    assert not shadowed[gone][:, :3].any()


def test_replies_tell_what_was_done(answers: Answers) -> None:
    """Name and checksum of what was sent, the model, the batch, and where the time went."""
    for reply in answers.replies.values():
        assert reply.md5 == hashlib.md5(answers.content, usedforsecurity=False).hexdigest()
        assert reply.name in PHOTOS
        assert reply.model == "u2netp"
        assert reply.batch_size == 1
        stages = [timing.stage for timing in reply.timings]
        assert stages == ["decode", "queue", "inference", "matte", "compose", "encode"]


def test_a_turned_jpeg_comes_back_upright(service: ReflectedService) -> None:
    """EXIF orientation is applied: the reply has the picture's seen size."""
    content = jpeg_bytes(photo("coffee.png"), orientation=6)

    reply = cut(service, content, "MODE_FG_MASK")

    stored_height, stored_width = photo("coffee.png").shape[:2]
    assert (reply.width, reply.height) == (stored_height, stored_width)
    assert read_png(reply.image.content).shape == (stored_width, stored_height)
