"""How a colour is written in a query; what it looks like is the server's matter."""

import re

# The CSS names of level 4, which every browser knows, and the colour without colour.
NAMES = frozenset(
    """
    aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood
    cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod darkgray
    darkgreen darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen
    darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray dimgrey dodgerblue
    firebrick floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray green greenyellow grey honeydew
    hotpink indianred indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan
    lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon lightseagreen lightskyblue lightslategray
    lightslategrey lightsteelblue lightyellow lime limegreen linen magenta maroon mediumaquamarine mediumblue
    mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen mediumturquoise mediumvioletred
    midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive olivedrab orange orangered orchid
    palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru pink plum powderblue purple
    rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue slateblue
    slategray slategrey snow springgreen steelblue tan teal thistle tomato transparent turquoise violet wheat white whitesmoke
    yellow yellowgreen
    """.split()  # noqa: SIM905 - a literal would be 148 lines long
)
DIGITS = "#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})"
_DIGITS = re.compile(DIGITS)
OPAQUE_NAMES = NAMES - {"transparent"}
OPAQUE_DIGITS = "#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"
_OPAQUE_DIGITS = re.compile(OPAQUE_DIGITS)


def is_colour(text: str) -> bool:
    """Tell whether a text is written as a colour; case is no matter."""
    return text.lower() in NAMES or _DIGITS.fullmatch(text) is not None


def is_opaque(text: str) -> bool:
    """Tell whether a text is written as a colour that has no opacity of its own."""
    return text.lower() in OPAQUE_NAMES or _OPAQUE_DIGITS.fullmatch(text) is not None


def normalise_colour(text: str) -> str:
    """Return a colour as the server takes it: hexadecimal digits with their #, names in small letters.

    A query loses what follows a bare #, for it begins the fragment; so callers may leave it out. No name consists of
    so many hexadecimal digits.
    """
    return f"#{text.lstrip('#')}" if _DIGITS.fullmatch(text) else text.lower()
