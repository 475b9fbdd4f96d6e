"""Reading a JSON body, to the letter of the conventions, before any model sees it."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import Request

from dispatch.errors import BadRequest, Invalid, UnsupportedMediaType

MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body as it came. `value` is what it says, `raw` its text; both None if there was no body at all."""

    raw: str | None
    value: Any
    declared: bool

    def text(self, *, optional: bool) -> str:
        """The JSON text. No body at all stands for `{}` where everything is `optional`."""
        if self.raw is not None:
            return self.raw
        if optional:
            return "{}"
        if self.declared:
            raise BadRequest(detail="The body is empty.")
        raise UnsupportedMediaType


class ApiRequest(Request):
    """Flask's request, whose `get_json` (which flask-openapi calls, silencing it) reads to our
    conventions."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """A `JsonBody`, for `Body.model_validate`."""
        return self.json_body()

    def json_body(self) -> JsonBody:
        """The body. Raises `UnsupportedMediaType`, `BadRequest` where it is no JSON, `Invalid` where a text
        holds what no text should; Werkzeug raises 413 where it is too large."""
        raw = self.get_data()
        declared = self.mimetype == "application/json" or self.mimetype.endswith("+json")
        if not raw and (declared or not self.mimetype):
            return JsonBody(raw=None, value=None, declared=declared)
        if not declared:
            raise UnsupportedMediaType
        text, value = parse_json(raw)
        return JsonBody(raw=text, value=value, declared=True)


def parse_json(raw: bytes) -> tuple[str, Any]:
    """The text and the value of a JSON document in UTF-8. Raises `BadRequest`, or `Invalid` for NUL and
    surrogates."""
    try:
        text = raw.decode()
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise BadRequest(detail="The body is nested too deeply.") from error
    except ValueError as error:
        raise BadRequest(detail=f"The body is not JSON: {error}.") from error
    refused = unwanted_text(value)
    if refused:
        raise Invalid(errors=refused)
    return text, value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def unwanted_text(value: Any) -> list[tuple[str, str]]:
    """The fields whose text, or whose own name, holds NUL or a lone surrogate, with a message."""
    refused: list[tuple[str, str]] = []
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        field, item = waiting.pop()
        if isinstance(item, str):
            message = refusal_of(item)
            if message:
                refused.append((field, message))
        elif isinstance(item, dict):
            for name, inner in item.items():
                waiting.append((field, name) if refusal_of(name) else (_joined(field, name), inner))
        elif isinstance(item, list):
            waiting.extend((_joined(field, str(index)), inner) for index, inner in enumerate(item))
    return refused


def refusal_of(text: str) -> str | None:
    """Why no text may be this one; None if it may."""
    if "\x00" in text:
        return "must not contain NUL"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "must not contain a lone surrogate"
    return None


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
