"""Load a program's settings: flag over environment over file over default, once, into frozen sections.

A program hands its sections to `load`, which is the only reader of the environment in its process:

    class BatchingSettings(Section):
        max_queue: int = Field(default=128, ge=1, le=65536, description="Calls that may wait.")

    class Settings(Section):
        batching: BatchingSettings = BatchingSettings()

`batching.max_queue` is then the flag --batching-max-queue, the variable ALPHACUT_BATCHING_MAX_QUEUE and, in
the file, the key `max_queue` of the table `[batching]`. All faults are told at once, in the user's names.
"""

import sys
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from alphacut_service.environment import (
    holds_service_link,
    is_service_link,
    nearest_hint,
    service_link_note,
    unknown_note,
)
from alphacut_service.fields import ENV_PREFIX, Kind, Section, SettingDoc, describe, env_of
from alphacut_service.settings_docs import help_text

__all__ = [
    "HelpRequested",
    "Loaded",
    "Section",
    "SettingDoc",
    "SettingsError",
    "describe",
    "load",
    "stop_start",
]

CONFIG_ENV = "ALPHACUT_CONFIG"
CONFIG_FLAG = "--config"

Root = TypeVar("Root", bound=Section)


class SettingsError(Exception):
    """Settings cannot be used; the message, a line a fault, names flag, variable or key and range."""


class HelpRequested(Exception):
    """The user asked for --help; `text` is the answer."""

    def __init__(self, text: str) -> None:
        super().__init__("help was asked for")
        self.text = text


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Root]):
    """The settings and what is worth telling about where they come from.

    warnings: sentences to log once. switches: the bare flags given, without dashes. origins: `section.field`
    to the flag, variable or file that set it; what is not in it has its default. config: the file that was read.
    """

    settings: Root
    warnings: tuple[str, ...]
    switches: frozenset[str]
    origins: Mapping[str, str]
    config: Path | None


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as the user gave it: `origin` is what the user calls it, `raw` a text or a TOML value."""

    origin: str
    raw: object

    def shown(self, doc: SettingDoc) -> str:
        """Return `ORIGIN=value` for a message; a secret's value is not shown."""
        return self.origin if doc.kind is Kind.SECRET else f"{self.origin}={self.raw}"


@dataclass(slots=True)
class _Gathering:
    """What one source after another adds to; faults are told together."""

    docs: Sequence[SettingDoc]
    values: dict[str, _Given] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def put_texts(self, texts: Mapping[str, str], names_of: Mapping[str, Sequence[str]]) -> None:
        """Take one source's texts by name; names_of gives each setting's names in it, which must agree."""
        for doc in self.docs:
            given = [_Given(name, texts[name]) for name in names_of[doc.path] if name in texts]
            if len({str(one.raw) for one in given}) > 1:
                self.faults.append(
                    f"{' and '.join(one.shown(doc) for one in given)} disagree; set only one of them."
                )
            elif given:
                self.values[doc.path] = given[0]


def load(
    root_type: type[Root],
    *,
    argv: Sequence[str],
    environ: Mapping[str, str],
    aliases: Mapping[str, str],
    known_elsewhere: Collection[str],
    program: str,
    description: str,
    switches: Mapping[str, str] | None = None,
    is_file_shared: bool = False,
) -> Loaded[Root]:
    """Return the settings of one program.

    argv: flags without the program's name. aliases: short environment name to `section.field`; gives a short
    flag, too. known_elsewhere: variables of other alphacut programs, which pass in silence. program: how it
    is called, as `alphacut server`. switches: bare flags without dashes (`prepare-only`) and what they do.
    is_file_shared: unknown keys of the file are left to the programs this one starts, which read it, too.
    An empty variable counts as unset. Raises SettingsError and HelpRequested; `stop_start` answers both.
    """
    docs = describe(root_type, aliases)
    switches = switches or {}
    if "--help" in argv or "-h" in argv:
        raise HelpRequested(
            help_text(root_type, docs, program=program, description=description, switches=switches)
        )
    gathering = _Gathering(docs)
    texts, given_switches = _read_flags(argv, docs, switches, program)
    own_environ = {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX) and value}

    config = texts.get(CONFIG_FLAG) or own_environ.get(CONFIG_ENV)
    config_path = Path(config) if config else None
    if config_path:
        _read_file(config_path, gathering, None if is_file_shared else known_elsewhere)
    _read_environment(own_environ, gathering, known_elsewhere)
    gathering.put_texts(texts, {doc.path: doc.flags for doc in docs})

    settings = _validate(root_type, gathering)
    origins = {path: given.origin for path, given in gathering.values.items()}
    return Loaded(settings, tuple(gathering.warnings), given_switches, origins, config_path)


def stop_start(stop: HelpRequested | SettingsError, program: str) -> int:
    """Tell the user why the program does not start; return its exit code: 0 after --help, else 2."""
    if isinstance(stop, HelpRequested):
        sys.stdout.write(stop.text)
        return 0
    sys.stderr.write("".join(f"{program}: {line}\n" for line in str(stop).splitlines()))
    sys.stderr.write(f"{program}: see `{program} --help`.\n")
    return 2


def _read_flags(
    argv: Sequence[str], docs: Sequence[SettingDoc], switches: Mapping[str, str], program: str
) -> tuple[dict[str, str], frozenset[str]]:
    """Return the text of each flag given (the last one wins) and the switches."""
    with_value = {flag for doc in docs for flag in doc.flags} | {CONFIG_FLAG}
    bare = {f"--{name}" for name in switches}
    texts: dict[str, str] = {}
    found: set[str] = set()
    words = iter(argv)
    for word in words:
        flag, equals, text = word.partition("=")
        if flag in bare:
            if equals:
                raise SettingsError(f"{flag} takes no value.")
            found.add(flag.removeprefix("--"))
        elif flag in with_value:
            value = text if equals else next(words, None)
            if value is None or (value.startswith("--") and not equals):
                raise SettingsError(f"{flag} needs a value.")
            texts[flag] = value
        elif word.startswith("-"):
            raise SettingsError(f"{flag} is no flag of {program}.{nearest_hint(flag, with_value | bare)}")
        else:
            raise SettingsError(f"{program} takes flags only, not {word!r}.")
    return texts, frozenset(found)


def _read_environment(
    environ: Mapping[str, str], gathering: _Gathering, known_elsewhere: Collection[str]
) -> None:
    """Take the variables of ours, and warn of those that nobody knows or that Kubernetes hides."""
    names_of = {doc.path: (*doc.env_aliases, doc.env) for doc in gathering.docs}
    path_of = {name: path for path, names in names_of.items() for name in names}
    known = {*path_of, *known_elsewhere, CONFIG_ENV}
    usable: dict[str, str] = {}
    for name, value in environ.items():
        if name in path_of and holds_service_link(name, value):
            others = [other for other in names_of[path_of[name]] if other != name]
            gathering.warnings.append(service_link_note(name, others))
        elif name in path_of:
            usable[name] = value
        elif name not in known and not is_service_link(name, value):
            gathering.warnings.append(unknown_note(name, known))
    gathering.put_texts(usable, names_of)


def _read_file(path: Path, gathering: _Gathering, known_elsewhere: Collection[str] | None) -> None:
    """Take the settings of a TOML file; a key of no program is a fault, for a file is written on purpose.

    known_elsewhere: variables of other programs, whose keys pass; None lets every key pass.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is no TOML: {error}.") from error
    known = {doc.path for doc in gathering.docs}
    for section, table in document.items():
        if not isinstance(table, dict):
            gathering.faults.append(f"{path}: {section} must be a table, [{section}].")
            continue
        for name, raw in table.items():
            key = f"{section}.{name}"
            if key in known:
                gathering.values[key] = _Given(f"{path}: {key}", raw)
            elif known_elsewhere is not None and env_of(section, name) not in known_elsewhere:
                gathering.faults.append(f"{path}: {key} is no setting.{nearest_hint(key, known)}")


def _validate(root_type: type[Root], gathering: _Gathering) -> Root:
    """Build the sections from what was gathered. Raises SettingsError with every fault."""
    doc_of = {doc.path: doc for doc in gathering.docs}
    tree: dict[str, dict[str, object]] = {}
    for path, given in gathering.values.items():
        doc = doc_of[path]
        if isinstance(given.raw, bool) and doc.kind is not Kind.BOOLEAN:
            # TOML's true would pass as the number 1.
            gathering.faults.append(_fault(doc, given))
        else:
            tree.setdefault(doc.section, {})[doc.name] = _value(doc, given.raw)
    try:
        settings = root_type.model_validate(tree)
    except ValidationError as error:
        # One line a setting: a list with three bad items is one fault.
        lines = dict.fromkeys(
            _told(item, doc_of, gathering.values)
            for item in error.errors(include_input=False, include_url=False)
        )
        _refuse([*gathering.faults, *lines])
    if gathering.faults:
        _refuse(gathering.faults)
    return settings


def _refuse(faults: Sequence[str]) -> NoReturn:
    # `from None`: pydantic's own report would show a secret's text.
    raise SettingsError("\n".join(faults)) from None


def _value(doc: SettingDoc, raw: object) -> object:
    """Return what pydantic converts further; lists are split, and the words for nothing known, here."""
    if not isinstance(raw, str):
        return raw
    if doc.is_optional and raw.strip().lower() in {"", "none"}:
        return None
    if doc.is_list:
        return tuple(item.strip() for item in raw.split(",") if item.strip())
    if doc.kind is Kind.CHOICE:
        # DEBUG and debug mean the same; a word that is no choice stays as it is, for the message.
        return next((choice for choice in doc.choices if choice.lower() == raw.strip().lower()), raw)
    return raw if doc.kind is Kind.SECRET else raw.strip()


def _told(error: ErrorDetails, doc_of: Mapping[str, SettingDoc], values: Mapping[str, _Given]) -> str:
    """Return one fault that pydantic found, in the user's names."""
    path = ".".join(str(part) for part in error["loc"][:2])
    own_words = error["msg"].removeprefix("Value error, ") if error["type"] == "value_error" else ""
    if path not in doc_of or path not in values:
        # A rule over several fields of a section, or a rule that the default breaks.
        return f"{path or 'settings'}: {own_words or error['msg']}"
    return _fault(doc_of[path], values[path], own_words)


def _fault(doc: SettingDoc, given: _Given, own_words: str = "") -> str:
    return f"{given.shown(doc)}: {own_words or f'must be {doc.expectation}'}. {doc.path}: {doc.description}"
