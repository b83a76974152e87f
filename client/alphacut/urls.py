"""Pictures named by a web address, which the server fetches; nothing is looked up here."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Url:
    """A picture on the web, fetched by the server; never a file here, whatever the text says.

    For programs that are given addresses by strangers: a plain str that is no http(s) URL is a path, and is read.
    """

    url: str


def is_url(text: str) -> bool:
    """Tell whether the text is an http(s) address, and so no path."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None
