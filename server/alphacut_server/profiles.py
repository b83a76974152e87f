"""The profile table: what `fast`, `balanced` and `best` stand for. One row decides the model; nothing else in code knows."""

from dataclasses import dataclass

from alphacut_server.settings import EngineSettings, Profile


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One profile."""

    model: str
    """Catalogue id."""
    frees_colours: bool = True
    """Half transparent pixels get the subject's own colour; 13 to 80 ms at 1024x768."""


PROFILES = {
    # 4.6 MB and 0.2 s a picture on two CPU cores: a newcomer waits seconds.
    Profile.FAST: ProfileRow("u2netp", frees_colours=False),
    # Finer edges and thin things; 7 times the time of u2netp at its published side of 1024.
    Profile.BALANCED: ProfileRow("isnet"),
    Profile.BEST: ProfileRow("isnet"),
}


def served_models(engine: EngineSettings) -> tuple[str, ...]:
    """Return the ids of the models to serve, the default first, each once."""
    default = engine.model or PROFILES[engine.profile].model
    return tuple(dict.fromkeys((default, *engine.extra_models)))


def profile_models(engine: EngineSettings) -> dict[Profile, str]:
    """Return the models of the profiles that calls may ask for: those whose model is served.

    The server's own profile means the model it was started with, its override included.
    """
    served = served_models(engine)
    models = {profile: row.model for profile, row in PROFILES.items()} | {engine.profile: served[0]}
    return {profile: model for profile, model in models.items() if model in served}


def freeing_profiles() -> frozenset[Profile]:
    """Return the profiles whose cut-outs are freed of the background's colour, whichever model made them."""
    return frozenset(profile for profile, row in PROFILES.items() if row.frees_colours)
