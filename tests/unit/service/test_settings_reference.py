"""The committed reference of the settings is what the code says."""

import runpy
from pathlib import Path

from alphacut_service.known_names import GATEWAY, SERVER

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = DOCS / "reference" / "settings.md"


def test_the_settings_page_is_fresh() -> None:
    """docs/reference/settings.md equals what docs/generate_settings.py writes: run it after changing a setting."""
    generated = runpy.run_path(str(DOCS / "generate_settings.py"))["page"]()

    assert PAGE.read_text(encoding="utf-8") == generated


def test_the_settings_page_names_every_variable() -> None:
    """Whatever the server and the gateway read from the environment has its row."""
    page = PAGE.read_text(encoding="utf-8")

    missing = {name for name in SERVER | GATEWAY if f"`{name}`" not in page}

    assert not missing
