"""The pages people read first: their Python runs, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
from PIL import Image

from support.pictures import photo

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Blocks of other pages are excerpts; these promise a program.
RUNNABLE = ("README.md", "docs/quickstart.md", "docs/grpc-api.md")
ADDRESS = "127.0.0.1:50051"

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks() -> list[object]:
    """Return each Python block with a name that says where it stands."""
    return [
        pytest.param(code, id=f"{page}-{number}")
        for page in RUNNABLE
        for number, code in enumerate(_BLOCK.findall((ROOT / page).read_text(encoding="utf-8")), start=1)
    ]


def anchor_of(heading: str) -> str:
    """Return the fragment under which a heading is found, as repository hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Return the links of a page to files or headings that do not exist; the web is not asked."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, fragment = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path) if path else page
        if not target.exists():
            broken.append(link)
        elif fragment and target.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            if fragment not in map(anchor_of, headings):
                broken.append(link)
    return broken


@pytest.mark.parametrize("code", blocks())
def test_a_page_s_python_runs(
    code: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block is a whole program beside a photo and a folder of photos; only the address is another."""
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/one.jpg", "photos/two.jpg"):
        Image.fromarray(photo()).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)

    assert ADDRESS in code
    exec(compile(code.replace(ADDRESS, target), "<page>", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_s_links_lead_somewhere(page: Path) -> None:
    """Whatever a page links to in this repository is there, headings included."""
    assert broken_links(page) == []


def test_readme_stays_short() -> None:
    """At most 120 lines, and code by line 30."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert len(lines) <= 120
    assert any(line.startswith("```") for line in lines[:30])
