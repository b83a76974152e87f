"""The query parameters of a result: names, ranges and words in one place, which the parser and OpenAPI share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from alphacut.options import BackgroundFit, ImageFormat, Mode, Quality, ShadowType
from alphacut_gateway.colours import (
    DIGITS,
    NAMES,
    OPAQUE_DIGITS,
    OPAQUE_NAMES,
    is_colour,
    is_opaque,
    normalise_colour,
)


class ResponseKind(StrEnum):
    """How a cut-out is delivered."""

    JSON = "json"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one parameter: a sentence, and a word to switch on."""

    parameter: str
    message: str
    kind: str


class ParametersInvalid(Exception):
    """One or more query parameters are wrong."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__(f"wrong parameters: {', '.join(each.parameter for each in violations)}")
        self.violations = violations


def _check_colour(value: str) -> str:
    if not is_colour(value):
        raise PydanticCustomError(
            "color",
            "Input should be rgb, rrggbb or rrggbbaa in hexadecimal digits, or a CSS colour name "
            "(a leading # is written %23 in a query)",
        )
    return normalise_colour(value)


def _check_opaque_colour(value: str) -> str:
    if not is_opaque(value):
        raise PydanticCustomError(
            "color",
            "Input should be rgb or rrggbb in hexadecimal digits, or a CSS colour name (a leading # is written %23 in a "
            "query)",
        )
    return normalise_colour(value)


def _check_flag(value: object) -> object:
    """Refuse the many other spellings of a boolean, so that there is one way to say it."""
    if value not in {"true", "false"}:
        raise PydanticCustomError("bool_parsing", "Input should be true or false")
    return value == "true"


def _check_number(value: object) -> object:
    """Refuse what only Python takes for a number, as 1_0 or blanks around it."""
    if isinstance(value, str) and not (value.isascii() and set(value) <= set("0123456789+-.eE")):
        raise PydanticCustomError("float_parsing", "Input should be a number, as 0.05")
    return value


Colour = Annotated[
    str,
    AfterValidator(_check_colour),
    WithJsonSchema({"type": "string", "anyOf": [{"pattern": f"^{DIGITS}$"}, {"enum": sorted(NAMES)}]}),
]
OpaqueColour = Annotated[
    str,
    AfterValidator(_check_opaque_colour),
    WithJsonSchema(
        {"type": "string", "anyOf": [{"pattern": f"^{OPAQUE_DIGITS}$"}, {"enum": sorted(OPAQUE_NAMES)}]}
    ),
]
Flag = Annotated[bool, BeforeValidator(_check_flag)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_check_number)]
Direction = Annotated[float, Field(ge=0, lt=360, allow_inf_nan=False), BeforeValidator(_check_number)]
Elevation = Annotated[float, Field(gt=0, le=90, allow_inf_nan=False), BeforeValidator(_check_number)]


class Options(BaseModel):
    """What a caller may choose; the description of each field is its documentation. Other parameters are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=lambda name: name.replace("_", "-")
    )

    mode: Mode = Field(
        default=Mode.FG_IMAGE,
        description="What the picture in the answer shows: the foreground over transparency, its mask, or the foreground "
        "with a shadow under it.",
    )
    representation: Literal["base64"] = Field(
        default="base64", description="How the picture is written into the JSON answer."
    )
    response: ResponseKind | None = Field(
        default=None,
        description="`binary` answers with the picture's bytes instead of JSON, `json` with JSON whatever `Accept` says. "
        "Unset: `Accept` decides.",
    )
    format: ImageFormat | None = Field(
        default=None,
        description="File format of the picture; a JPEG is white where the others are transparent. Unset: PNG, or what a "
        "binary `Accept` names.",
    )
    bg_color: Colour | None = Field(
        default=None,
        description="Colour behind the foreground: `rgb`, `rrggbb` or `rrggbbaa` in hexadecimal digits, or a CSS colour "
        "name. A leading `#` is allowed and must be written `%23`. A background picture takes its place; a mask ignores it.",
    )
    bg_fit: BackgroundFit = Field(
        default=BackgroundFit.NONE,
        description="How a background picture meets the canvas: at its own scale and centred, scaled to cover it, scaled "
        "to lie wholly inside, or stretched to it.",
    )
    shadow_type: ShadowType | None = Field(
        default=None,
        description="Kind of the shadow that mode `fg-image-shadow` has; the other modes ignore it and the five below. "
        "Unset: `auto`, on the floor for what stands on one, a drop shadow for what the lower edge cuts off.",
    )
    shadow_direction: Direction | None = Field(
        default=None,
        description="Where the shadow points, degrees clockwise from up: on a floor 0 is behind the subject, 90 to the "
        "right. Unset: 45, for a drop shadow 180.",
    )
    shadow_elevation: Elevation | None = Field(
        default=None,
        description="Height of the light above the horizon in degrees: the lower, the longer the shadow. Unset: 58.",
    )
    shadow_softness: Share | None = Field(default=None, description="0 hard to 1 soft. Unset: 0.5.")
    shadow_opacity: Share | None = Field(default=None, description="0 invisible to 1 full. Unset: 1.")
    shadow_color: OpaqueColour | None = Field(
        default=None,
        description="Colour of the shadow, written as `bg-color`, without opacity. Unset: black.",
    )
    crop: Flag = Field(default=False, description="Whether the canvas is cut down to the subject.")
    crop_margin: Share = Field(
        default=0.0,
        description="Space left around the subject when `crop` is true, as a share of its longer side.",
    )
    quality: Quality | None = Field(
        default=None,
        description="Which profile cuts the picture. Unset: the one the server was started with.",
    )
    model: str = Field(
        default="",
        min_length=1,
        max_length=64,
        description="A model that the server serves, by name; it overrides the profile's. Unset: the profile's.",
    )


def parse(query: Mapping[str, str]) -> Options:
    """Return the options of a decoded query. Raises ParametersInvalid, naming every wrong parameter."""
    try:
        return Options.model_validate(dict(query))
    except ValidationError as error:
        raise ParametersInvalid(
            *(
                Violation(str(each["loc"][0]), each["msg"], each["type"])
                for each in error.errors(include_url=False, include_context=False, include_input=False)
            )
        ) from None
