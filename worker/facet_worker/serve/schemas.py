"""Request bodies against the JSON Schema that lib/core gives out, with defaults filled in as its own parser does."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from facet_worker.errors import FacetError
from facet_worker.serve.settings import PROTOCOL

_WIRE = Path(__file__).parents[1] / "wire"
_SAID = 300  # characters of a message: a value that does not fit may be megabytes


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    # As JavaScript reads it: \w and \d are ASCII, and $ is the very end.
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _regex(pattern).search(value):
        yield ValidationError(f"{value[:80]!r} is not of the form {pattern}")


_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})


def _unbroken(text: str) -> str:
    """Halves of surrogate pairs as U+FFFD: no tokenizer takes them, and what JavaScript encodes is that."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def filled(schema: Any, value: Any) -> Any:
    """A valid value with the schema's defaults in the place of what it leaves out, and whole numbers as `int`."""
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return filled(next(branch for branch in schema[choice] if _Validator(branch).is_valid(value)), value)
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        out = {key: filled(properties.get(key, others), part) for key, part in value.items()}
        return out | {key: copy.deepcopy(part["default"]) for key, part in properties.items() if key not in value and "default" in part}
    if isinstance(value, list):
        return [filled(schema.get("items", {}), part) for part in value]
    if isinstance(value, str):
        return _unbroken(value)
    return int(value) if isinstance(value, float) and schema.get("type") == "integer" else value


def _place(error: ValidationError) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).lstrip(".")
    return place[:_SAID] or "the body"


class BodySchema:
    """One of the files in `wire/`, by its name without `.schema.json`."""

    def __init__(self, name: str) -> None:
        self.schema: dict[str, Any] = json.loads((_WIRE / f"{name}.schema.json").read_text("utf-8"))
        self._validator = _Validator(self.schema)

    def parse(self, body: Any) -> dict[str, Any]:
        """The body with its defaults. Throws `invalid_request`, which names the field, and `protocol_mismatch`."""
        if isinstance(body, dict) and "protocol" in self.schema["properties"]:
            _same_protocol(body.get("protocol"))
        _trim_watched(body)
        error = best_match(self._validator.iter_errors(body))
        if error is not None:
            said = error.message if len(error.message) <= _SAID else f"{error.message[:_SAID]}…"
            raise FacetError(f"{_place(error)}: {said}.", "invalid_request")
        out: dict[str, Any] = filled(self.schema, body)
        return out


def _same_protocol(number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise FacetError(f"protocol: this worker speaks {PROTOCOL}; the request says none.", "invalid_request")
    if number != PROTOCOL:
        older = "the app is older" if number < PROTOCOL else "the worker is older"
        raise FacetError(
            f"This worker speaks protocol {PROTOCOL} and the request is in {number:g}: {older}.",
            "protocol_mismatch",
            fix="Update the app." if number < PROTOCOL else "Update the worker.",
        )


def _trim_watched(body: Any) -> None:
    """Watched words without the space around them, which a schema cannot say."""
    request = body.get("request", body) if isinstance(body, dict) else None
    watch = request.get("watch") if isinstance(request, dict) else None
    if isinstance(request, dict) and isinstance(watch, list):
        request["watch"] = [word.strip() if isinstance(word, str) else word for word in watch]
