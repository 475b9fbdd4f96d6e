"""Single values of a document: each is what it should be, or `InputError` says where it is not."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from optimizer.problem import UNREACHABLE, TimeWindow
from optimizer.travel import InvalidPlace, Place

MAX_TIME = 2**39
MAX_ID = 2**63 - 1

MAX_WINDOWS, MAX_BREAKS, MAX_SKILLS, MAX_KINDS = 30, 50, 100, 32
"""Time windows of a job, breaks of a vehicle, skills of a job and kinds of goods: beyond any real day, and few enough
for every document to be read in bounded time."""

JsonObject = Mapping[str, Any]


class InputError(ValueError):
    """The document cannot be planned. The message is one sentence that names the place and what is wrong."""


class TooLarge(InputError):
    """There is more in the document than its reader is asked to take."""


def parse_json(text: str | bytes) -> object:
    """JSON as RFC 8259 has it: without NaN and infinities. Raises `InputError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError("the document is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"the document is not JSON: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"the document is not JSON: {name} is not a number")


def object_in(value: object, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be a JSON object")
    return value


def array_in(value: object, where: str, most: int | None = None) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where} must be an array")
    if most is not None and len(value) > most:
        raise InputError(f"{where} has {len(value)} entries; up to {most} are served")
    return value


def integer_in(value: object, where: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{where} must be an integer")
    if not least <= value <= most:
        raise InputError(f"{where} must lie between {least} and {most}")
    return value


def text_in(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} must be a string")
    return value


def cap_in(owner: JsonObject, key: str, where: str) -> int | None:
    """A limit of a vehicle; None if it has none."""
    return integer_in(owner[key], f"{where}.{key}", 0, MAX_TIME) if key in owner else None


def place_in(value: object, where: str) -> Place:
    pair = array_in(value, where)
    if len(pair) != 2 or any(isinstance(x, bool) or not isinstance(x, int | float) for x in pair):
        raise InputError(f"{where} must be [longitude, latitude]")
    try:
        return Place(lat=float(pair[1]), lon=float(pair[0]))
    except (InvalidPlace, OverflowError) as error:
        raise InputError(f"{where}: {error}") from None


def window_in(value: object, where: str) -> TimeWindow:
    pair = array_in(value, where)
    if len(pair) != 2:
        raise InputError(f"{where} must be [start, end]")
    start, end = (integer_in(instant, where, 0, MAX_TIME) for instant in pair)
    if end < start:
        raise InputError(f"{where} ends before it starts")
    return TimeWindow(start, end)


def windows_in(owner: JsonObject, where: str) -> tuple[TimeWindow, ...]:
    """The time windows of a job or break, or the only one of a vehicle; empty if it has none."""
    if "time_window" in owner:
        return (window_in(owner["time_window"], f"{where}.time_window"),)
    if "time_windows" not in owner:
        return ()
    listed = array_in(owner["time_windows"], f"{where}.time_windows", MAX_WINDOWS)
    if not listed:
        raise InputError(f"{where}.time_windows must not be empty")
    windows = tuple(window_in(value, f"{where}.time_windows") for value in listed)
    for before, after in pairwise(windows):
        if after.start <= before.end:
            raise InputError(f"{where}.time_windows must be sorted and must not overlap")
    return windows


def seconds_in(task: JsonObject, key: str, where: str) -> int:
    """A setup or service time; 0 if absent."""
    return integer_in(task.get(key, 0), f"{where}.{key}", 0, UNREACHABLE)


def skills_in(owner: JsonObject, where: str, most: int | None = None) -> list[str]:
    listed = array_in(owner.get("skills", []), f"{where}.skills", most)
    return [str(integer_in(skill, f"{where}.skills", 0, MAX_ID)) for skill in listed]


def by_id(value: object, kind: str) -> dict[str, JsonObject]:
    """The objects of an array by their ids, as strings."""
    listed = array_in(value, f"{kind}s")
    if not listed:
        raise InputError(f"{kind}s must not be empty")
    found: dict[str, JsonObject] = {}
    for index, item in enumerate(listed):
        owner = object_in(item, f"{kind}s[{index}]")
        if "id" not in owner:
            raise InputError(f"{kind}s[{index}].id is missing")
        name = str(integer_in(owner["id"], f"{kind}s[{index}].id", 0, MAX_ID))
        if name in found:
            raise InputError(f"{kind} id {name} occurs twice")
        found[name] = owner
    return found


def breaks_of(vehicle: JsonObject, where: str) -> dict[str, JsonObject]:
    """A vehicle's breaks by id."""
    if "breaks" not in vehicle:
        return {}
    listed = array_in(vehicle["breaks"], f"{where}.breaks", MAX_BREAKS)
    return by_id(listed, f"{where}.break") if listed else {}


def sum_of(tuples: Sequence[tuple[int, ...]], kinds: int) -> tuple[int, ...]:
    """Quantities added up kind by kind."""
    return tuple(sum(quantities[kind] for quantities in tuples) for kind in range(kinds))
