"""Which models a server serves."""

import pytest

from alphacut_server.catalogue.loader import load_catalogue
from alphacut_server.profiles import PROFILES, served_models
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
