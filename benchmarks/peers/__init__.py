"""The engines under one contract: an adapter a file, found by its name, which is its module's.

An adapter turns an `Instance` into the engine's own input and hands back the call that solves it. The clock runs for
that call alone: turning the input over is counted apart (`build_s`), for all alike.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.instance import Instance, Routes

Tell = Callable[[int, int], None]
"""Told of a feasible plan: its cost in the instance's unit and how many clients it leaves out. When it was found is
what the clock shows at the call; only what betters the best so far is kept."""

Solve = Callable[[Tell], Routes]


@dataclass(frozen=True, slots=True)
class Task:
    """What an engine is asked for. limit_s: seconds for the call to `Solve`."""

    limit_s: float
    seed: int
    threads: int


class CannotModel(Exception):
    """The engine has no way to say a rule of the instance, or no room for it; the message names it."""


class NoPlan(Exception):
    """The engine ended without a plan that it holds feasible."""


@dataclass(frozen=True, slots=True)
class Peer:
    """prepare: from the instance to the call; raises `CannotModel`. threaded: whether it uses several threads.
    seeded: whether runs with different seeds differ; if not, one run stands for all. warm: what compiles the engine on
    a machine that never ran it; done once, before all runs."""

    name: str
    version: str
    threaded: bool
    seeded: bool
    prepare: Callable[[Instance, Task], Solve]
    warm: Callable[[], None] | None = None


NAMES = ("search", "pyvrp", "vroom", "routing")


def load(name: str) -> Peer:
    """The peer of that name: an adapter here, or any module by its dotted name that has a `PEER`. Raises `ImportError`
    if the engine is not installed."""
    module = importlib.import_module(name if "." in name else f"{__name__}.{name}")
    peer = module.PEER
    assert isinstance(peer, Peer)
    return peer
