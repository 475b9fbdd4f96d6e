"""Identifiers: UUIDv7 (RFC 9562), so that they sort by the time of their birth."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import uuid_utils

ID_LENGTH = 36
_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _born_now() -> str:
    return str(uuid_utils.uuid7())


_source: ContextVar[Callable[[], str]] = ContextVar("ids", default=_born_now)


def new_id() -> str:
    """A new UUIDv7 in its canonical form: 36 characters, lower case."""
    return _source.get()()


@contextmanager
def ids_from(source: Callable[[], str]) -> Iterator[None]:
    """Within the block `new_id` gives what `source` does, in this thread: what is ordered by ids is then the same each
    time. Source gives UUIDv7 that never occur twice."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def is_id(text: str) -> bool:
    """Whether `text` has the form of `new_id()`: what has not cannot exist."""
    return _FORM.fullmatch(text) is not None
