"""Settings as people read them: --help and the reference page, both made from the fields alone."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alphacut_service.fields import Section, SettingDoc, sections_of

HELP_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the reference page: how it is called, what it does, its settings."""

    name: str
    description: str
    root_type: type[Section]
    docs: Sequence[SettingDoc]


def help_text(
    root_type: type[Section],
    docs: Sequence[SettingDoc],
    *,
    program: str,
    description: str,
    switches: Mapping[str, str],
) -> str:
    """Return the answer to --help: each setting's flags, meaning, range, unit, default and variables."""
    general = {
        **{f"--{name}": text for name, text in switches.items()},
        "--config FILE": "Read settings from this TOML file, one table a section. [env: ALPHACUT_CONFIG]",
        "--help": "Show this text.",
    }
    parts = [
        f"Usage: {program} [flags]",
        *textwrap.wrap(description, HELP_WIDTH),
        "A flag wins over its environment variable, that over the settings file, that over the default.",
        "",
        *(line for flag, text in general.items() for line in _entry(flag, text)),
    ]
    for section, section_type in sections_of(root_type).items():
        parts += ["", f"{section}: {_first_line(section_type)}"]
        for doc in (doc for doc in docs if doc.section == section):
            parts += _entry(f"{', '.join(doc.flags)} VALUE", _explanation(doc))
    return "\n".join(parts) + "\n"


def reference_page(programs: Iterable[Program]) -> str:
    """Return the settings' reference page in Markdown, one chapter a program and one table a section."""
    lines = [
        "# Settings",
        "",
        "Generated from the code; do not edit. A flag wins over its environment variable, that over the",
        "settings file (`--config FILE` or `ALPHACUT_CONFIG`, TOML, one table a section), that over the",
        "default. An empty variable counts as unset. Booleans are `true`, `false`, `1`, `0`, `on` or `off`; lists are",
        "separated by commas. Each variable is a flag, too: `ALPHACUT_HTTP_PORT` is `--http-port`.",
    ]
    for program in programs:
        lines += ["", f"## `{program.name}`", "", program.description]
        for section, section_type in sections_of(program.root_type).items():
            rows = [_row(doc) for doc in program.docs if doc.section == section]
            lines += [
                "",
                f"### {section}",
                "",
                _first_line(section_type),
                "",
                "| setting | variable | value | default | meaning |",
                "|---|---|---|---|---|",
                *rows,
            ]
    return "\n".join(lines) + "\n"


def environment_names(docs: Iterable[SettingDoc]) -> frozenset[str]:
    """Return every variable that sets one of these: what another program passes as `known_elsewhere`."""
    return frozenset(name for doc in docs for name in (doc.env, *doc.env_aliases))


def _first_line(section_type: type[Section]) -> str:
    return (section_type.__doc__ or "").strip().partition("\n")[0]


def _entry(flag: str, text: str) -> list[str]:
    body = textwrap.wrap(text, HELP_WIDTH - 6, break_on_hyphens=False, break_long_words=False)
    return [f"  {flag}", *(f"      {line}" for line in body)]


def _explanation(doc: SettingDoc) -> str:
    default = doc.default or ("unset" if doc.is_optional else "empty")
    names = ", ".join((*doc.env_aliases, doc.env))
    value = doc.expectation[0].upper() + doc.expectation[1:]
    return f"{doc.description} {value}. [default: {default}] [env: {names}]"


def _row(doc: SettingDoc) -> str:
    variables = "<br>".join(f"`{name}`" for name in (*doc.env_aliases, doc.env))
    default = f"`{doc.default}`" if doc.default else ("unset" if doc.is_optional else "empty")
    cells = (f"`{doc.path}`", variables, doc.expectation, default, doc.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
