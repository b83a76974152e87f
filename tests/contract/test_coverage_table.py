"""The table of docs/rest-api.md that says which test proves which statement: whole, and of tests that exist."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "rest-api.md"


def existing() -> set[str]:
    """Return every test of this folder as FILE::NAME, by the sources."""
    return {
        f"{path.name}::{node.name}"
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def named() -> set[str]:
    """Return every test that the page names."""
    return set(re.findall(r"`(test_\w+\.py::test_\w+)`", PAGE.read_text(encoding="utf-8")))


def test_every_named_test_exists() -> None:
    """A statement whose test was renamed or removed is proven by nothing."""
    assert sorted(named() - existing()) == []


def test_every_test_is_named() -> None:
    """A test that proves nothing stated has no place here, or the page lacks a statement."""
    assert sorted(existing() - named()) == []
