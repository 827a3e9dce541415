"""JSON Schema, as much of it as our document uses; anything else in a schema fails."""

import json
import re
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOTES = {"title", "description", "default"}


def problems_of(value: Any, schema: Any, document: Any, where: str = "$") -> list[str]:
    """In what a value is not what a schema of a document says."""
    if "$ref" in schema:
        return problems_of(value, resolved(schema["$ref"], document), document, where)
    found = []
    for name, wanted in schema.items():
        match name:
            case "anyOf":
                tried = [problems_of(value, each, document, where) for each in wanted]
                right = not all(tried)
                found += [] if right else min(tried, key=len)
            case "type":
                right = any(_is(value, each) for each in (wanted if isinstance(wanted, list) else [wanted]))
            case "enum":
                right = any(value == each and type(value) is type(each) for each in wanted)
            case "const":
                right = value == wanted
            case "required":
                right = not isinstance(value, dict) or set(wanted) <= set(value)
            case "properties":
                right = True
                for member, inner in wanted.items() if isinstance(value, dict) else ():
                    if member in value:
                        found += problems_of(value[member], inner, document, f"{where}.{member}")
            case "additionalProperties":
                right = True
                others = value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ()
                for member in others:
                    found += problems_of(value[member], wanted, document, f"{where}.{member}")
            case "items":
                right = True
                for position, each in enumerate(value) if isinstance(value, list) else ():
                    found += problems_of(each, wanted, document, f"{where}[{position}]")
            case "minItems":
                right = not isinstance(value, list) or len(value) >= wanted
            case "maxItems":
                right = not isinstance(value, list) or len(value) <= wanted
            case "uniqueItems":
                right = not isinstance(value, list) or len(set(map(json.dumps, value))) == len(value)
            case "minimum":
                right = not _is(value, "number") or value >= wanted
            case "maximum":
                right = not _is(value, "number") or value <= wanted
            case "minLength":
                right = not isinstance(value, str) or len(value) >= wanted
            case "maxLength":
                right = not isinstance(value, str) or len(value) <= wanted
            case "format" if wanted == "uuid":
                right = not isinstance(value, str) or _UUID.fullmatch(value) is not None
            case _:
                assert name in _NOTES, f"{name}: unknown here; write it"
                right = True
        if not right:
            found.append(f"{where}: {value!r:.60} is not {name} {wanted!r:.60}")
    return found


def resolved(reference: str, document: Any) -> Any:
    """What a reference within a document refers to."""
    assert reference.startswith("#/"), reference
    node = document
    for part in reference[2:].split("/"):
        node = node[part]
    return node


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
