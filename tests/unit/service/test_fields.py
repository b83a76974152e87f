"""What can be said of a setting, and which definitions are bugs."""

from typing import Annotated

import pytest
from pydantic import Field, SecretStr

from alphacut_service.fields import Section, describe, flag_of

Port = Annotated[int, Field(ge=0, le=65535)]


class DoorSection(Section):
    """Sample fields."""

    port: Port = Field(default=1, description="Port.")
    share: float = Field(default=0.5, gt=0, lt=1, description="Share.")
    weights: tuple[int, ...] = Field(default=(1, 2), description="Weights.")
    size_bytes: int = Field(default=1, le=10, description="Size.")
    key: SecretStr = Field(default=SecretStr("hush"), description="Key.")
    name: str | None = Field(default=None, description="Name.")


class Doors(Section):
    """A root."""

    door: DoorSection = DoorSection()


def test_fields_are_described_in_order_with_names_and_ranges() -> None:
    """Ranges come from the annotations, units from the names' endings."""
    docs = {doc.name: doc for doc in describe(Doors, {"ALPHACUT_PORT_SHORT": "door.port"})}

    assert list(docs) == ["port", "share", "weights", "size_bytes", "key", "name"]
    assert docs["port"].flags == ("--port-short", "--door-port")
    assert docs["port"].expectation == "a whole number from 0 to 65535"
    assert docs["share"].expectation == "a number above 0 and below 1"
    assert docs["weights"].expectation == "a comma-separated list, each item a whole number"
    assert docs["weights"].default == "1,2"
    assert docs["size_bytes"].expectation == "a whole number of at most 10, in bytes"
    assert docs["name"].is_optional
    assert docs["name"].default == ""


def test_secret_default_is_masked() -> None:
    """No documentation shows a secret, not even a default one."""
    docs = {doc.name: doc for doc in describe(Doors, {})}

    assert "hush" not in docs["key"].default


def test_flag_is_the_variable_in_lower_case_with_dashes() -> None:
    """Variable and flag are one name in two spellings."""
    assert flag_of("ALPHACUT_GATEWAY_METRICS_PORT") == "--gateway-metrics-port"


def test_alias_of_nothing_is_a_bug() -> None:
    """An alias must lead to a setting."""
    with pytest.raises(ValueError, match=r"aliases of settings that do not exist: door\.window"):
        describe(Doors, {"ALPHACUT_WINDOW": "door.window"})


def test_shared_name_is_a_bug() -> None:
    """Two settings must not have one variable."""

    class OpenSection(Section):
        """A section whose only field collides with the next one's."""

        door_x: int = 1

    class DoorOnlySection(Section):
        """The other half of the collision."""

        x: int = 1

    class Colliding(Section):
        """A root with the variable ALPHACUT_OPEN_DOOR_X twice."""

        open: OpenSection = OpenSection()
        open_door: DoorOnlySection = DoorOnlySection()

    with pytest.raises(ValueError, match="more than one setting is called ALPHACUT_OPEN_DOOR_X"):
        describe(Colliding, {})


def test_type_that_text_cannot_give_is_a_bug() -> None:
    """A mapping, a union or a fixed tuple has no spelling in a variable."""

    class MapSection(Section):
        """A mapping."""

        table: dict[str, int] = Field(default_factory=dict)

    class UnionSection(Section):
        """A union of two types."""

        value: int | str = 1

    class PairSection(Section):
        """A tuple of fixed length."""

        pair: tuple[int, int] = (1, 2)

    class MapRoot(Section):
        """A root."""

        section: MapSection = MapSection()

    class UnionRoot(Section):
        """A root."""

        section: UnionSection = UnionSection()

    class PairRoot(Section):
        """A root."""

        section: PairSection = PairSection()

    for root in (MapRoot, UnionRoot, PairRoot, DoorSection):
        with pytest.raises(TypeError):
            describe(root, {})
