"""What can go wrong with catalogue, store and pull; all part of the server's one tree.

UnknownModel
└── NotInCatalogue      no entry of that name; names the nearest
InternalFault
├── CatalogueInvalid    a model.toml is not as it must be
├── NotPulled           the weights are not in the store
├── PullFailed          no source gave the file; names each with its cause
└── StoreUnusable       the disk is full or the store cannot be written

These are raised at start and by the command line, never while a call is served, so their messages may name the user's files.
"""

import difflib
from collections.abc import Sequence

from alphacut_server.errors import InternalFault, UnknownModel


class NotInCatalogue(UnknownModel):
    """No entry of that name."""

    def __init__(self, model: str, known: tuple[str, ...]) -> None:
        super().__init__(model, known)
        near = difflib.get_close_matches(model, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        self.message = f"No model {model[:64]!r} in the catalogue.{hint} Known: {', '.join(known)}."
        self.args = (self.message,)


class CatalogueInvalid(InternalFault):
    """A catalogue entry is not as it must be; the message names file and key."""


class NotPulled(InternalFault):
    """The weights are not in the store."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The weights of {model} are not here; run: alphacut models pull {model}", {"model": model}
        )


class SourceFailed(Exception):
    """One source did not give the file; the next one is tried. Never leaves the catalogue."""


class PullFailed(InternalFault):
    """No source gave the file."""

    def __init__(self, model: str, failures: Sequence[tuple[str, str]]) -> None:
        listed = "".join(f"\n  - {source}: {cause}" for source, cause in failures)
        super().__init__(f"{model} could not be pulled; every source failed:{listed}", {"model": model})
        self.failures = tuple(failures)


class StoreUnusable(InternalFault):
    """The disk is full, or the store cannot be written."""
