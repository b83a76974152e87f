"""The generated reference page and the list of variables."""

from pydantic import Field

from alphacut_service.fields import Section, describe
from alphacut_service.settings_docs import Program, environment_names, reference_page


class LampSection(Section):
    """How it shines."""

    mode: str | None = Field(default=None, description="Either a | or b.")
    delay_ms: int = Field(default=5, ge=0, le=9, description="Pause.")


class Lamp(Section):
    """A root."""

    lamp: LampSection = LampSection()


DOCS = describe(Lamp, {"ALPHACUT_PAUSE": "lamp.delay_ms"})


def test_reference_page_has_a_row_for_each_setting() -> None:
    """A row tells path, variables, value, default and meaning; a bar in a text does not break the table."""
    page = reference_page([Program("alphacut lamp", "Shines.", Lamp, DOCS)])

    lines = page.splitlines()
    assert "## `alphacut lamp`" in lines
    assert "### lamp" in lines
    assert "How it shines." in lines
    assert (
        "| `lamp.delay_ms` | `ALPHACUT_PAUSE`<br>`ALPHACUT_LAMP_DELAY_MS` | "
        "a whole number from 0 to 9, in milliseconds | `5` | Pause. |"
    ) in lines
    assert "| `lamp.mode` | `ALPHACUT_LAMP_MODE` | a text | unset | Either a \\| or b. |" in lines


def test_environment_names_are_long_and_short() -> None:
    """Another program that shares the environment knows all of them."""
    assert environment_names(DOCS) == {"ALPHACUT_LAMP_MODE", "ALPHACUT_LAMP_DELAY_MS", "ALPHACUT_PAUSE"}
