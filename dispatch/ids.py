"""Identifiers: UUIDv7 (RFC 9562), so that they sort by the time of their birth."""

import re

import uuid_utils

ID_LENGTH = 36
_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    """A new UUIDv7 in its canonical form: 36 characters, lower case."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Whether `text` has the form of `new_id()`: what has not cannot exist."""
    return _FORM.fullmatch(text) is not None
