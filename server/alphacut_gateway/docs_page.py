"""The API's description for people: plain HTML made from the OpenAPI document, complete without scripts."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from alphacut_gateway import paths
from alphacut_gateway.middleware import NOTHING_ALLOWED

# A part of the document: what JSON holds.
Json = Mapping[str, Any]

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 1.5rem; }
h2 code { font-size: 1em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin-top: 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; }
td:first-child { white-space: nowrap; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: #8882; padding: .8rem; overflow-x: auto; border-radius: .4rem; }
.method { font-size: .8em; padding: .1rem .4rem; border: 1px solid; border-radius: .3rem; }
@media (max-width: 40rem) { table, tbody, tr, td { display: block; } thead { display: none; } td { border: 0; padding: 0; }
tr { padding: .5rem 0; border-bottom: 1px solid #8884; } td:first-child { white-space: normal; } }
"""
STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"{NOTHING_ALLOWED}; style-src 'sha256-{STYLE_DIGEST}'"
SERVICE = "SERVICE=http://127.0.0.1:8080"
# Beside the operation of that path.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    paths.RESULTS[0]: (
        "# The foreground over transparency, as JSON; the picture is in base64.\n"
        'curl -F image=@photo.jpg "$SERVICE/v1/results"',
        "# The same as a file.\n"
        "curl -F image=@photo.jpg -H 'Accept: image/png' -o cutout.png \"$SERVICE/v1/results\"",
        "# The mask of a picture on the web, with a key.\n"
        "curl -F url=https://example.com/photo.jpg -H 'X-API-KEY: …' \"$SERVICE/v1/results?mode=fg-mask\"",
        "# On a white background, cut down to the subject with a little space around it, as JPEG.\n"
        "curl -F image=@photo.jpg -o cutout.jpg \\\n"
        '  "$SERVICE/v1/results?bg-color=white&crop=true&crop-margin=0.05&format=jpeg&response=binary"',
        "# With a shadow, on a picture that covers the canvas.\n"
        'curl -F image=@photo.jpg -F image-bg=@beach.jpg "$SERVICE/v1/results?mode=fg-image-shadow&bg-fit=cover"',
    ),
    paths.VERSION: ('curl "$SERVICE/v1/version"',),
    paths.MODES: ('curl "$SERVICE/v1/modes"',),
}


# Words for the ends of a range, in their order.
_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "to {}",
    "exclusiveMaximum": "to less than {}",
}


def page(document: Json) -> str:
    """Return the page for an OpenAPI document."""
    info = document["info"]
    title = f"{info['title']} {info['version']}"
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    body = "".join(
        _operation(path, method, operation) for path, method, operation in _without_twins(operations)
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}: the REST API</title>
<meta name="viewport" content="width=device-width">
<style>{STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{_prose(info["description"])}</p>
<p>For programs: <a href="openapi.json">openapi.json</a>. To try it out: <a href="./">the demo page</a>.</p>
<p>{_keys(document)}</p>
<pre>{escape(SERVICE)}</pre>
{body}
</body>
</html>
"""


def _without_twins(operations: list[tuple[str, str, Json]]) -> Iterator[tuple[str, str, Json]]:
    """Give each operation once: an alias does the same as the first path of results."""
    for path, method, operation in operations:
        if path not in paths.RESULTS[1:]:
            yield path, method, operation


def _keys(document: Json) -> str:
    schemes = document["components"]["securitySchemes"].values()
    places = [
        f"the header <code>{escape(each['name'])}</code>"
        if each["in"] == "header"
        else f"the query parameter <code>{escape(each['name'])}</code>"
        for each in schemes
    ]
    return (
        f"Where the service has keys, send yours in {', or '.join(places)}. "
        "Take the query last: addresses are logged on their way."
    )


def _operation(path: str, method: str, operation: Json) -> str:
    aliases = f"<p>Also at {_codes(paths.RESULTS[1:])}.</p>" if path in paths.RESULTS else ""
    examples = "".join(f"<pre>{escape(each)}</pre>" for each in EXAMPLES.get(path, ()))
    return (
        f'<h2><span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code></h2>'
        f"<p><strong>{escape(operation['summary'])}.</strong> {_prose(operation.get('description', ''))}</p>"
        f"{aliases}{examples}"
        f"{_table('Query parameter', _parameter_rows(operation))}"
        f"{_table('Form field', _field_rows(operation))}"
        f"{_table('Answer', _response_rows(operation))}"
        f"{_header_table(operation)}"
    )


def _parameter_rows(operation: Json) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", ()):
        yield _code(parameter["name"]), f"{_prose(parameter['description'])} {_range(parameter['schema'])}"


def _field_rows(operation: Json) -> Iterator[tuple[str, str]]:
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        for name, field in content["multipart/form-data"]["schema"]["properties"].items():
            yield _code(name), _prose(field["description"])


def _response_rows(operation: Json) -> Iterator[tuple[str, str]]:
    for code, response in sorted(operation["responses"].items()):
        kinds = f"<p>{_codes(response['content'])}</p>"
        yield _code(code), f"{_prose(response['description'])}{kinds}{''.join(_examples(response))}"


def _examples(response: Json) -> Iterator[str]:
    for media_type in response["content"].values():
        values = [each["value"] for each in media_type.get("examples", {}).values()]
        for value in [*values, *([media_type["example"]] if "example" in media_type else [])]:
            yield f"<pre>{escape(value if isinstance(value, str) else _indented(value))}</pre>"


def _header_table(operation: Json) -> str:
    headers = operation["responses"]["200"]["headers"]
    return _table(
        "Header of the answer", ((_code(name), _prose(each["description"])) for name, each in headers.items())
    )


def _table(title: str, rows: Iterator[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{first}</td><td>{second}</td></tr>" for first, second in rows)
    if not cells:
        return ""
    head = f"<thead><tr><th>{escape(title)}</th><th>Meaning</th></tr></thead>"
    return f"<table>{head}<tbody>{cells}</tbody></table>"


def _range(schema: Json) -> str:
    """Say what a parameter may be, as far as its description leaves it open."""
    said = []
    if schema.get("enum"):
        said.append(f"One of {_codes(schema['enum'])}.")
    if bounds := [words.format(schema[key]) for key, words in _BOUNDS.items() if key in schema]:
        said.append(f"{bounds[0].capitalize()} {' '.join(bounds[1:])}".strip() + ".")
    if "default" in schema:
        said.append(f"Default: {_code(_indented(schema['default']).strip(chr(34)))}.")
    return " ".join(said)


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _codes(texts: Any) -> str:
    return ", ".join(_code(each) for each in texts)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _prose(text: str) -> str:
    """Return HTML for a sentence of the document, in which backticks mark code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
