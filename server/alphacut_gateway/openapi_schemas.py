"""The shapes of requests and answers as JSON Schema, each beside the words for it; what answers them is elsewhere."""

from collections.abc import Mapping

from alphacut.options import ImageFormat, Mode
from alphacut_gateway.parameters import Options

Schema = Mapping[str, object]

MD5: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{32}$",
    "description": "MD5 of the picture's bytes as they were received, hexadecimal.",
}
NAME: Schema = {
    "type": "string",
    "description": "The uploaded file's name, or the last segment of the URL's path.",
}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}


def fixed(properties: Mapping[str, object]) -> Schema:
    """Return an object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def reference(name: str) -> Schema:
    """Return a reference to one of the component schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def _status(code: str, message: Schema) -> Schema:
    return fixed({"code": {"type": "string", "const": code}, "message": message})


def _results_of(result: Schema) -> Schema:
    return fixed({"results": {"type": "array", "minItems": 1, "maxItems": 1, "items": result}})


BOX: Schema = {
    "type": "array",
    "minItems": 4,
    "maxItems": 4,
    "items": SHARE,
    "description": "Left, top, width and height of the foreground, as shares of the picture's width and height. "
    "The same in every mode.",
}
CLASSES: Schema = fixed(
    {
        "kind": {"const": "classes"},
        "name": {"const": "classes"},
        "classes": fixed({"opaque-content": {"const": 1}}),
    }
)
OBJECTS_ENTITY: Schema = fixed(
    {
        "kind": {"const": "objects"},
        "name": {"const": "objects"},
        "objects": {
            "type": "array",
            "maxItems": 1,
            "items": fixed(
                {
                    "box": BOX,
                    "entities": {"type": "array", "minItems": 1, "maxItems": 1, "items": CLASSES},
                }
            ),
            "description": "One entry, or none when the picture has no foreground.",
        },
    }
)
IMAGE_ENTITY: Schema = fixed(
    {
        "kind": {"const": "image"},
        "name": {"enum": [f"general-{mode.value}" for mode in Mode]},
        "image": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "The file in standard base64, without line breaks and without a prefix.",
        },
        "format": {"enum": [image_format.name for image_format in ImageFormat]},
        "representation": {"const": "base64"},
    }
)
SUCCESS: Schema = fixed(
    {
        "status": _status("ok", {"const": "Success"}),
        "name": NAME,
        "md5": MD5,
        "width": {
            "type": "integer",
            "minimum": 1,
            "description": "Width of the picture, upright, in pixels.",
        },
        "height": {
            "type": "integer",
            "minimum": 1,
            "description": "Height of the picture, upright, in pixels.",
        },
        "entities": {
            "type": "array",
            "prefixItems": [reference("ImageEntity"), reference("ObjectsEntity")],
            "minItems": 2,
            "maxItems": 2,
        },
    }
)
FAILURE: Schema = fixed(
    {
        "status": _status("failure", {"type": "string", "description": "Why, in a sentence."}),
        "name": NAME,
        "md5": MD5,
        "entities": {"type": "array", "maxItems": 0},
    }
)
VIOLATION: Schema = fixed(
    {
        "loc": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "string"},
            "description": "`query`, and the parameter's name.",
        },
        "msg": {"type": "string"},
        "type": {"type": "string"},
    }
)
COMPONENTS: Mapping[str, Schema] = {
    "Results": {"anyOf": [_results_of(reference("Success")), _results_of(reference("Failure"))]},
    "Success": SUCCESS,
    "Failure": FAILURE,
    "ImageEntity": IMAGE_ENTITY,
    "ObjectsEntity": OBJECTS_ENTITY,
    "Message": fixed({"message": {"type": "string", "description": "What to do about it."}}),
    "Refusal": fixed(
        {
            "detail": {
                "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": VIOLATION}],
                "description": "A sentence about the form, or the parameters that are wrong.",
            }
        }
    ),
}

URL_FIELD: Schema = {
    "type": "string",
    "description": "An http or https URL of the picture, which the server fetches. Ignored when `image` is there.",
}
BACKGROUND_URL_FIELD: Schema = {
    "type": "string",
    "description": "An http or https URL of the background. Ignored when `image-bg` is there.",
}
GIVEN: Schema = {"minLength": 1}
MULTIPART_FORM: Schema = {
    "type": "object",
    "properties": {
        "image": {
            "type": "string",
            "format": "binary",
            "description": "The picture: a JPEG or PNG of less than 16 MiB and at most 4096 x 4096 px, told by its bytes "
            "alone. EXIF orientation is applied.",
        },
        "url": URL_FIELD,
        "image-bg": {
            "type": "string",
            "format": "binary",
            "description": "What lies behind the foreground, within the same limits; centred, see `bg-fit`. Masks ignore it.",
        },
        "url-bg": BACKGROUND_URL_FIELD,
    },
    "anyOf": [
        {"required": ["image"]},
        {"required": ["url"], "properties": {"url": GIVEN}},
    ],
}
URLENCODED_FORM: Schema = {
    "type": "object",
    "properties": {
        "url": {**URL_FIELD, **GIVEN},
        "url-bg": BACKGROUND_URL_FIELD,
    },
    "required": ["url"],
}


def query_parameters() -> list[Schema]:
    """Return the query parameters of a result, from the model that reads them."""
    schema = Options.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": declared["description"],
            "schema": _plain(declared, definitions),
        }
        for name, declared in schema["properties"].items()
    ]


def _plain(declared: Mapping[str, object], definitions: Mapping[str, Mapping[str, object]]) -> Schema:
    """Return a property's schema with references resolved, and without the null that stands for an absent parameter."""
    alternatives = declared.get("anyOf")
    if isinstance(alternatives, list) and {"type": "null"} in alternatives:
        (chosen,) = (each for each in alternatives if each != {"type": "null"})
        declared = {**{key: value for key, value in declared.items() if key != "anyOf"}, **chosen}
    target = declared.get("$ref")
    if isinstance(target, str):
        declared = {**declared, **definitions[target.rsplit("/", 1)[-1]]}
    unwanted = {"$ref", "title", "description"} | (
        {"default"} if declared.get("default") in (None, "") else set()
    )
    return {key: value for key, value in declared.items() if key not in unwanted}
