"""What a caller may choose, as enums whose values are the names of the REST API; knows nothing of the wire."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict, TypeVar

from alphacut.errors import FieldViolation, InvalidOption, Reason

if TYPE_CHECKING:
    from alphacut.pictures import ImageInput

E = TypeVar("E", bound=StrEnum)


class Mode(StrEnum):
    """What the reply shows."""

    FG_IMAGE = "fg-image"
    """The foreground over transparency: RGBA, straight alpha."""
    FG_MASK = "fg-mask"
    """The foreground's alpha: one grey channel, 255 is foreground."""
    FG_IMAGE_SHADOW = "fg-image-shadow"
    """The foreground with a soft shadow under it: RGBA."""


class Priority(StrEnum):
    """Who goes first when calls wait for the device."""

    INTERACTIVE = "interactive"
    """Someone is looking at a screen: before all bulk work."""
    BULK = "bulk"
    """Throughput matters, waiting does not."""


class Quality(StrEnum):
    """Which of the server's profiles cuts the picture: how much time finer edges are worth."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class ImageFormat(StrEnum):
    """How a cut-out is encoded; "jpg" means JPEG, too."""

    PNG = "png"
    WEBP = "webp"
    JPEG = "jpeg"

    @classmethod
    def _missing_(cls, value: object) -> "ImageFormat | None":
        return cls.JPEG if value == "jpg" else None

    @property
    def suffix(self) -> str:
        """The usual ending of such a file, with its dot."""
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"


class BackgroundFit(StrEnum):
    """How a background picture meets the canvas, which keeps the size of the picture that is cut."""

    NONE = "none"
    """At its own scale, centred; transparent where it does not reach."""
    COVER = "cover"
    """Scaled to fill the canvas, centred, cropped."""
    CONTAIN = "contain"
    """Scaled to lie wholly inside the canvas, centred."""
    STRETCH = "stretch"
    """Scaled to the canvas in each direction by itself."""


class ShadowType(StrEnum):
    """Kinds of shadow."""

    AUTO = "auto"
    """On the floor for what stands on one, behind what the lower edge of the picture cuts off."""
    CONTACT = "contact"
    """Darkening where the subject touches the floor."""
    CAST = "cast"
    """Thrown over the floor by a light."""
    DROP = "drop"
    """A soft copy behind the subject."""
    FLOAT = "float"
    """An ellipse under a subject that hovers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """How the shadow of `Mode.FG_IMAGE_SHADOW` falls; what is None is the server's to choose. Other modes ignore it.

    direction_deg: where it points, clockwise from up, [0, 360): on a floor 0 is behind the subject, 90 to the right.
    elevation_deg: the light's height above the horizon, (0, 90]; the lower, the longer the shadow. softness: 0 hard to 1
    soft. opacity: 0 to 1. color: #rgb, #rrggbb or a CSS colour name; the server judges it.
    Raises InvalidOption for an unknown type and for what is out of range.
    """

    type: ShadowType | str = ShadowType.AUTO
    direction_deg: float | None = None
    elevation_deg: float | None = None
    softness: float | None = None
    opacity: float | None = None
    color: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range, NaN among it, and turn the type's name into the type."""
        object.__setattr__(self, "type", _parse(ShadowType, "shadow.type", self.type))
        direction, elevation = self.direction_deg, self.elevation_deg
        if direction is not None and not 0 <= direction < 360:
            raise _refusal(
                "shadow.direction_deg", f"shadow.direction_deg must be in [0, 360), not {direction!r}"
            )
        if elevation is not None and not 0 < elevation <= 90:
            raise _refusal(
                "shadow.elevation_deg", f"shadow.elevation_deg must be in (0, 90], not {elevation!r}"
            )
        for name, share in (("softness", self.softness), ("opacity", self.opacity)):
            if share is not None and not 0 <= share <= 1:
                raise _refusal(f"shadow.{name}", f"shadow.{name} must be in [0, 1], not {share!r}")


# Compared by identity: whether two arrays are the same picture is a question of their own.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """What lies behind the foreground: exactly one of a picture and a colour. A mask ignores it, unread.

    image: whatever `remove_background` takes for a picture. color: #rgb, #rrggbb, #rrggbbaa or a CSS colour name; the
    server judges it. fit: for a picture. Raises InvalidOption for both, for neither, and for an unknown fit.
    """

    image: "ImageInput | None" = field(default=None, repr=False)
    color: str | None = None
    fit: BackgroundFit | str = BackgroundFit.NONE

    def __post_init__(self) -> None:
        """Refuse what means nothing, and turn the fit's name into the fit."""
        if (self.image is None) == (self.color is None):
            raise _refusal("background", "background needs exactly one of image and color")
        object.__setattr__(self, "fit", _parse(BackgroundFit, "background.fit", self.fit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a picture is cut and what comes back; may be kept and used for any number of pictures.

    mode: what the reply shows. quality: None is the server's own. model: one of `models()`, overrides the quality's;
    empty is the default. background: None leaves the background transparent. shadow: None lets it fall as the server
    thinks best, in the mode that has one. format: the file's; a JPEG has no
    transparency. crop_margin: None keeps the picture's size, 0 cuts it down to the subject's box, more leaves that
    share of the box's longer side around it, in [0, 1]. priority: None lets single calls go before streams.
    Each enum may be given by its name. Raises InvalidOption, whose `violations` name the field.
    """

    mode: Mode | str = Mode.FG_IMAGE
    quality: Quality | str | None = None
    model: str = ""
    background: Background | None = None
    shadow: Shadow | None = None
    format: ImageFormat | str = ImageFormat.PNG
    crop_margin: float | None = None
    priority: Priority | str | None = None

    def __post_init__(self) -> None:
        """Turn names into enums, and refuse what no server serves."""
        object.__setattr__(self, "mode", _parse(Mode, "mode", self.mode))
        object.__setattr__(self, "format", _parse(ImageFormat, "format", self.format))
        if self.quality is not None:
            object.__setattr__(self, "quality", _parse(Quality, "quality", self.quality))
        if self.priority is not None:
            object.__setattr__(self, "priority", _parse(Priority, "priority", self.priority))
        margin = self.crop_margin
        # True would pass for a margin of 1, and is meant for "yes, crop".
        if margin is not None and (isinstance(margin, bool) or not 0 <= margin <= 1):
            raise _refusal(
                "crop_margin", f"crop_margin must be in [0, 1], or None for no crop, not {margin!r}"
            )


class OptionWords(TypedDict, total=False):
    """The fields of `Options` as keywords of a call, which a test holds equal.

    Four methods take them. Listed there they would make signatures of a dozen parameters, four times over; as
    `Unpack[OptionWords]` each is checked by type and named once. They become `Options` before anything else is done.
    """

    mode: Mode | str
    quality: Quality | str | None
    model: str
    background: Background | None
    shadow: Shadow | None
    format: ImageFormat | str
    crop_margin: float | None
    priority: Priority | str | None


def choose(options: Options | None, words: OptionWords) -> Options:
    """Return the options with what the keywords say in place of theirs; raises InvalidOption."""
    return replace(options or Options(), **words)


def _parse(kind: type[E], field_name: str, value: str) -> E:
    try:
        return kind(value)
    except ValueError:
        message = f"{field_name} must be one of {', '.join(kind)}, not {value!r}"
        raise _refusal(field_name, message) from None


def _refusal(field_name: str, message: str) -> InvalidOption:
    return InvalidOption(
        message,
        reason=Reason.INVALID_OPTION,
        metadata={"field": field_name},
        violations=(FieldViolation(field_name, message),),
    )
