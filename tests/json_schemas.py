"""Write docs/reference/json: a JSON schema for the document of each command with `--json`.

    python tests/json_schemas.py            write all schemas
    python tests/json_schemas.py --check    print which are out of date

They are made from the types in `commands/json_types.py`. `problems` checks a document: it has the
few words of JSON Schema that these schemas use.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from modeldir.commands import json_types

FOLDER = Path(__file__).parents[1] / "docs/reference/json"
_PLAIN: dict[object, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null",
}  # fmt: skip


def schema(name: str) -> dict[str, Any]:
    """Return the schema of a command's document: its keys, or an error."""
    found: dict[str, Any] = {}
    document = json_types.DOCUMENTS[name]
    reference = _of(document, found)
    error = _of(json_types.Error, found)
    own = found.pop(document.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"modeldir {name} --json",
        "description": own["description"],
        "type": "object",
        "properties": {**own["properties"], "error": error},
        "anyOf": [{"required": own["required"]}, {"required": ["error"]}],
        "$defs": {key: found[key] for key in sorted(found)} if reference else {},
    }


def _of(kind: Any, found: dict[str, Any]) -> dict[str, Any]:
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if kind is Any:
        return {}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": [*arguments]}
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_of(each, found) for each in arguments]}
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], found)}
    if kind.__name__ not in found:
        found[kind.__name__] = {}
        hints = typing.get_type_hints(kind)
        found[kind.__name__] = {
            "description": " ".join((kind.__doc__ or "").split()),
            "type": "object",
            "properties": {name: _of(each, found) for name, each in hints.items()},
            "required": [*hints],
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def problems(value: Any, schema: Any, root: Any = None, where: str = "$") -> list[str]:
    """Return what in a document does not fit its schema."""
    root = root or schema
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    found = []
    if "anyOf" in schema and all(problems(value, each, root, where) for each in schema["anyOf"]):
        found.append(f"{where}: {value!r} fits nothing of {schema['anyOf']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if "type" in schema and not _is(value, schema["type"]):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, list):
        for index, each in enumerate(value):
            found += problems(each, schema.get("items", {}), root, f"{where}[{index}]")
    if isinstance(value, dict):
        missing = [key for key in schema.get("required", ()) if key not in value]
        found += [f"{where}.{key} is missing" for key in missing]
        for key, each in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            found += problems(each, inner, root, f"{where}.{key}")
    return found


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "number":
        return isinstance(value, (int, float))
    expected: dict[str, Any] = {"array": list, "object": dict}
    expected |= {name: each for each, name in _PLAIN.items()}
    return isinstance(value, expected[kind])


def pages() -> dict[Path, str]:
    """Return the text of each schema by its path."""
    return {
        FOLDER / f"{name}.json": json.dumps(schema(name), indent=2) + "\n"
        for name in json_types.DOCUMENTS
    }


def main(words: list[str]) -> int:
    """Write the schemas, or with `--check` print those that are out of date."""
    made = pages()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in FOLDER.glob("*.json") if path not in made]
    for path in stale:
        if words == ["--check"]:
            print(f"out of date: {path}")
        elif path in made:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
    return int(words == ["--check"] and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
