"""Where an instance comes from, in few words: each process makes it anew, so that the parent, which only judges, never
holds a matrix, and the peak memory of a child is its own."""

import importlib
from dataclasses import asdict
from typing import Any, Protocol

from benchmarks.instance import Instance


class Source(Protocol):
    """A dataclass of plain members from which the same instance can be made again and again."""

    def instance(self) -> Instance: ...


def as_json(source: Source) -> dict[str, Any]:
    """What `from_json` needs in another process."""
    kind = type(source)
    return {"module": kind.__module__, "name": kind.__name__, "members": asdict(source)}  # type: ignore[call-overload]


def from_json(order: dict[str, Any]) -> Source:
    """The same source again. It imports no more than this source needs, for the memory of engines is measured."""
    made = getattr(importlib.import_module(order["module"]), order["name"])(**order["members"])
    assert hasattr(made, "instance")
    return made  # type: ignore[no-any-return]
