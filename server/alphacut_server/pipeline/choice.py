"""Which of the models served here cuts a picture, and what its profile does to the result."""

from collections.abc import Mapping
from dataclasses import dataclass

from alphacut_server.errors import InvalidOption, UnknownModel
from alphacut_server.pipeline.types import ServedModel
from alphacut_server.settings import Profile


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The models served, by id, and what a call gets that names none."""

    models: Mapping[str, ServedModel]
    default: str
    profiles: Mapping[Profile, str]
    """The models of the profiles served here, all among `models`."""
    own_profile: Profile = Profile.FAST
    """The server's, for calls that name none."""
    freeing: frozenset[Profile] = frozenset()
    """The profiles that free the colours of half transparent pixels."""

    def find(self, model_id: str, profile: Profile | None) -> ServedModel:
        """Return the model: the one named, else the profile's, else the default. Raises UnknownModel, InvalidOption."""
        if not model_id:
            model_id = self.default if profile is None else self._of(profile)
        model = self.models.get(model_id)
        if model is None:
            raise UnknownModel(model_id, tuple(self.models))
        return model

    def frees_colours(self, profile: Profile | None) -> bool:
        """Whether a call's cut-out gets the subject's own colours; the profile decides, whatever model is named."""
        return (profile or self.own_profile) in self.freeing

    def _of(self, profile: Profile) -> str:
        model_id = self.profiles.get(profile)
        if model_id is None:
            served = ", ".join(sorted(one.value for one in self.profiles)) or "none"
            raise InvalidOption(
                "quality",
                f"Quality {profile.value} is not served here; these are: {served}. Or leave it unset.",
            )
        return model_id
