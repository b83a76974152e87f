"""Which models a server serves."""

import pytest

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.profiles import PROFILES, freeing_profiles, profile_models, served_models
from alphacut_server.settings import EngineSettings, Profile


@pytest.mark.parametrize("profile", Profile)
def test_every_profile_names_a_model_of_the_catalogue(profile: Profile) -> None:
    """A profile that cannot start is a mistake of ours."""
    assert PROFILES[profile].model in load_catalogue().ids


def test_a_newcomer_gets_the_smallest_model() -> None:
    """The first start waits for its download."""
    smallest = load_catalogue().ids[0]

    assert served_models(EngineSettings()) == (smallest,)


@pytest.mark.parametrize(
    ("model", "extra", "served"),
    [
        ("", (), ("isnet",)),
        ("u2net", (), ("u2net",)),
        ("u2net", ("u2netp", "isnet"), ("u2net", "u2netp", "isnet")),
        ("u2net", ("u2net", "u2netp", "u2netp"), ("u2net", "u2netp")),
    ],
    ids=["profile", "model", "extras", "repeated"],
)
def test_the_default_comes_first_and_nothing_twice(
    model: str, extra: tuple[str, ...], served: tuple[str, ...]
) -> None:
    """A model named by hand overrides the profile's."""
    engine = EngineSettings(profile=Profile.BALANCED, model=model, extra_models=extra)

    assert served_models(engine) == served


@pytest.mark.parametrize(
    ("engine", "models"),
    [
        (EngineSettings(), {Profile.FAST: "u2netp"}),
        (
            EngineSettings(profile=Profile.BEST),
            {Profile.BALANCED: PROFILES[Profile.BALANCED].model, Profile.BEST: PROFILES[Profile.BEST].model},
        ),
        (
            EngineSettings(extra_models=("isnet",)),
            {Profile.FAST: "u2netp", Profile.BALANCED: "isnet", Profile.BEST: "isnet"},
        ),
        (EngineSettings(model="emulated"), {Profile.FAST: "emulated"}),
        (
            EngineSettings(model="u2net", extra_models=("u2netp", "isnet")),
            {Profile.FAST: "u2net", Profile.BALANCED: "isnet", Profile.BEST: "isnet"},
        ),
    ],
    ids=["default", "best", "with-another", "overridden", "overridden-with-others"],
)
def test_calls_may_ask_for_the_profiles_whose_model_is_served(
    engine: EngineSettings, models: dict[Profile, str]
) -> None:
    """The server's own profile is the model it was started with, whatever the table says."""
    assert profile_models(engine) == models


def test_only_the_fast_profile_leaves_colours_as_they_are() -> None:
    """There the time goes into nothing but the network."""
    assert freeing_profiles() == {Profile.BALANCED, Profile.BEST}
