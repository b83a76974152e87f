"""What a setting is: frozen sections of typed fields, and what can be said of each. No I/O."""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic.fields import FieldInfo

ENV_PREFIX = "ALPHACUT_"

# The unit ends a field's name; the longest ending comes first, for `_ms` ends in `s` as well.
UNITS = {
    "_per_s": "per second",
    "_bytes": "bytes",
    "_mib": "MiB",
    "_ms": "milliseconds",
    "_px": "pixels",
    "_s": "seconds",
}


class Section(BaseModel):
    """A frozen group of settings, or the root naming the groups; no unknown fields, no infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Kind(Enum):
    """What a value must look like; the value is how it is called in help and error messages."""

    WHOLE = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    CHOICE = "one of"
    PATH = "a path"
    SECRET = "a secret text"  # noqa: S105 (a word for people, no secret)
    TEXT = "a text"


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One setting as help, documentation and error messages tell it."""

    section: str
    name: str
    kind: Kind
    is_list: bool
    is_optional: bool
    choices: tuple[str, ...]
    limits: str
    unit: str
    default: str
    description: str
    env: str
    env_aliases: tuple[str, ...]

    @property
    def path(self) -> str:
        """Return `section.field`, the name in the file."""
        return f"{self.section}.{self.name}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the flags that set it, the short ones first."""
        return tuple(flag_of(env) for env in (*self.env_aliases, self.env))

    @property
    def expectation(self) -> str:
        """Return what the value must be, as `a whole number from 1 to 65535, in milliseconds`."""
        noun = f"one of {', '.join(self.choices)}" if self.kind is Kind.CHOICE else self.kind.value
        if self.is_list:
            noun = f"a comma-separated list, each item {noun}"
        text = f"{noun} {self.limits}".rstrip()
        return f"{text}, in {self.unit}" if self.unit else text


def env_of(section: str, name: str) -> str:
    """Return the environment variable of a setting: batching.max_queue is ALPHACUT_BATCHING_MAX_QUEUE."""
    return f"{ENV_PREFIX}{section}_{name}".upper()


def flag_of(env: str) -> str:
    """Return the flag that means the same as an environment variable: ALPHACUT_HTTP_PORT is --http-port."""
    return "--" + env.removeprefix(ENV_PREFIX).lower().replace("_", "-")


def sections_of(root_type: type[Section]) -> dict[str, type[Section]]:
    """Return the sections of a root by name. Raises TypeError for a field that is no section (a bug)."""
    sections: dict[str, type[Section]] = {}
    for name, info in root_type.model_fields.items():
        annotation = info.annotation
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            raise TypeError(f"{root_type.__name__}.{name} is no Section")
        sections[name] = annotation
    return sections


def describe(root_type: type[Section], aliases: Mapping[str, str]) -> list[SettingDoc]:
    """Return every setting of a root, in the order of its definition.

    aliases: short environment name to `section.field`. Raises ValueError when two settings share a name or an
    alias leads nowhere, TypeError for a type that text cannot give (bugs of the program, not of its user).
    """
    docs = [
        _describe_field(
            section, name, info, tuple(env for env, path in aliases.items() if path == f"{section}.{name}")
        )
        for section, section_type in sections_of(root_type).items()
        for name, info in section_type.model_fields.items()
    ]
    names = [env for doc in docs for env in (doc.env, *doc.env_aliases)]
    shared = sorted({env for env in names if names.count(env) > 1})
    if shared:
        raise ValueError(f"more than one setting is called {', '.join(shared)}")
    lost = sorted(set(aliases.values()) - {doc.path for doc in docs})
    if lost:
        raise ValueError(f"aliases of settings that do not exist: {', '.join(lost)}")
    return docs


def _describe_field(section: str, name: str, info: FieldInfo, env_aliases: tuple[str, ...]) -> SettingDoc:
    is_optional, is_list, value_type = _unwrap(info.annotation)
    kind = _kind_of(value_type)
    unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
    default = info.get_default(call_default_factory=True)
    return SettingDoc(
        section=section,
        name=name,
        kind=kind,
        is_list=is_list,
        is_optional=is_optional,
        choices=_choices_of(value_type),
        limits=_limits_of(info),
        unit=unit,
        default=_text_of(default),
        description=info.description or "",
        env=env_of(section, name),
        env_aliases=env_aliases,
    )


def _unwrap(annotation: object) -> tuple[bool, bool, object]:
    """Return whether None is allowed, whether it is a tuple of any length, and the type of one value."""
    is_optional = False
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        members = typing.get_args(annotation)
        rest = [member for member in members if member is not type(None)]
        if len(rest) != 1:
            raise TypeError(f"a setting may be one type or None, not {annotation}")
        is_optional, annotation = len(members) == 2, rest[0]
    is_list = typing.get_origin(annotation) is tuple
    if is_list:
        annotation, ellipsis = typing.get_args(annotation)
        if ellipsis is not Ellipsis:
            raise TypeError("a list setting is a tuple[X, ...]")
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return is_optional, is_list, annotation


def _kind_of(value_type: object) -> Kind:
    # bool before int, and Enum before str: the first of each pair is a subclass of the second.
    table = {
        bool: Kind.BOOLEAN,
        Enum: Kind.CHOICE,
        int: Kind.WHOLE,
        float: Kind.NUMBER,
        SecretStr: Kind.SECRET,
        Path: Kind.PATH,
        str: Kind.TEXT,
    }
    for known, kind in table.items():
        if isinstance(value_type, type) and issubclass(value_type, known):
            return kind
    raise TypeError(f"no setting can have the type {value_type}")


def _choices_of(value_type: object) -> tuple[str, ...]:
    if isinstance(value_type, type) and issubclass(value_type, Enum):
        return tuple(str(member.value) for member in value_type)
    return ()


def _limits_of(info: FieldInfo) -> str:
    """Return a field's range in words; the bounds are where pydantic keeps them, in the field's metadata."""
    bounds = {name: _bound(info, name) for name in ("ge", "gt", "le", "lt", "min_length", "max_length")}
    low, above, high, below = bounds["ge"], bounds["gt"], bounds["le"], bounds["lt"]
    if low and high:
        return f"from {low} to {high}"
    words = [
        f"of at least {low}" if low else "",
        f"above {above}" if above else "",
        f"of at most {high}" if high else "",
        f"below {below}" if below else "",
        f"with at least {bounds['min_length']} character(s) or item(s)" if bounds["min_length"] else "",
        f"with at most {bounds['max_length']} characters or items" if bounds["max_length"] else "",
    ]
    return " and ".join(word for word in words if word)


def _bound(info: FieldInfo, name: str) -> str:
    values = [getattr(item, name) for item in info.metadata if getattr(item, name, None) is not None]
    return _text_of(values[-1]) if values else ""


def _text_of(value: object) -> str:
    """Write a value as its variable would hold it; empty for None."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(_text_of(item) for item in value)
        case float():
            return re.sub(r"\.0$", "", repr(value))
        case _:
            return str(value)
