"""Which model cuts a picture."""

import pytest

from alphacut_server.errors import InvalidOption, UnknownModel
from alphacut_server.pipeline.choice import ModelChoice
from alphacut_server.pipeline.types import ServedModel
from alphacut_server.settings import Profile

CHOICE = ModelChoice(
    {name: ServedModel(name, 320) for name in ("small", "large", "other")},
    "small",
    {Profile.FAST: "small", Profile.BEST: "large"},
)


@pytest.mark.parametrize(
    ("model", "profile", "chosen"),
    [
        ("", None, "small"),
        ("", Profile.BEST, "large"),
        ("other", None, "other"),
        ("other", Profile.BEST, "other"),
        ("other", Profile.BALANCED, "other"),
    ],
    ids=["default", "profile", "model", "both", "model-of-a-profile-not-served"],
)
def test_the_model_goes_before_the_profile_and_that_before_the_default(
    model: str, profile: Profile | None, chosen: str
) -> None:
    """A model that is named overrides its profile's, which then need not be served."""
    assert CHOICE.find(model, profile).id == chosen


def test_an_unknown_model_is_told_with_those_that_are_served() -> None:
    """Whatever the profile."""
    with pytest.raises(UnknownModel) as caught:
        CHOICE.find("nobody's", Profile.FAST)

    assert caught.value.served == ("small", "large", "other")


def test_a_profile_that_is_not_served_is_told_with_those_that_are() -> None:
    """The caller can pick one of them at once."""
    with pytest.raises(InvalidOption) as caught:
        CHOICE.find("", Profile.BALANCED)

    assert caught.value.field == "quality"
    assert "balanced" in caught.value.message
    assert "best, fast" in caught.value.message


def test_a_server_without_profiles_says_so() -> None:
    """One that serves a model by name alone."""
    choice = ModelChoice({"other": ServedModel("other", 320)}, "other", {})

    with pytest.raises(InvalidOption) as caught:
        choice.find("", Profile.FAST)

    assert "none" in caught.value.message


@pytest.mark.parametrize("own", Profile)
@pytest.mark.parametrize("asked", [None, *Profile])
def test_the_profile_asked_for_decides_about_colours_else_the_server_s(
    own: Profile, asked: Profile | None
) -> None:
    """Whichever model is named."""
    choice = ModelChoice(
        CHOICE.models, "small", CHOICE.profiles, own_profile=own, freeing=frozenset({Profile.BEST})
    )

    assert choice.frees_colours(asked) is ((asked or own) is Profile.BEST)
