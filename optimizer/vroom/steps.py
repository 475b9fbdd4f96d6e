"""The routes that a document gives: the `steps` of its vehicles."""

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.vroom.values import (
    MAX_ID,
    MAX_TIME,
    InputError,
    JsonObject,
    array_in,
    breaks_of,
    integer_in,
    object_in,
)

TYPES = ("start", "job", "break", "end")


@dataclass(frozen=True, slots=True)
class GivenStep:
    """One step. kind: of `TYPES`; name: of its job or break. not_before, not_after: between which instants a person
    decided that it begins; None where nobody did."""

    kind: str
    name: str = ""
    not_before: int | None = None
    not_after: int | None = None


def steps_of(
    jobs: Mapping[str, JsonObject], vehicles: Mapping[str, JsonObject]
) -> dict[str, tuple[GivenStep, ...]]:
    """The steps by vehicle, those alone that have any, always with a start and an end. Raises `InputError` for jobs and
    breaks that are unknown or come twice."""
    given: dict[str, tuple[GivenStep, ...]] = {}
    seen: set[str] = set()
    for name, vehicle in vehicles.items():
        where = f"vehicle {name}"
        listed = array_in(
            vehicle.get("steps", []), f"{where}.steps", len(jobs) + len(breaks_of(vehicle, where)) + 2
        )
        if not listed:
            continue
        steps = _framed([_step(item, f"{where}.steps[{index}]") for index, item in enumerate(listed)], where)
        _require_known(steps, jobs, breaks_of(vehicle, where), seen, where)
        given[name] = steps
    return given


def _framed(steps: list[GivenStep], where: str) -> tuple[GivenStep, ...]:
    if steps[0].kind != "start":
        steps.insert(0, GivenStep("start"))
    if steps[-1].kind != "end":
        steps.append(GivenStep("end"))
    if any(step.kind in ("start", "end") for step in steps[1:-1]):
        raise InputError(f"{where}.steps must start with `start` and end with `end`, each once")
    return tuple(steps)


def _require_known(
    steps: tuple[GivenStep, ...],
    jobs: Mapping[str, JsonObject],
    breaks: Mapping[str, JsonObject],
    seen: set[str],
    where: str,
) -> None:
    taken: set[str] = set()
    for step in steps[1:-1]:
        known, before = (jobs, seen) if step.kind == "job" else (breaks, taken)
        if step.name not in known:
            raise InputError(f"{where}.steps: {step.kind} {step.name} is unknown")
        if step.name in before:
            raise InputError(f"{where}.steps: {step.kind} {step.name} occurs twice")
        before.add(step.name)


def _step(value: object, where: str) -> GivenStep:
    step = object_in(value, where)
    kind = step.get("type")
    if kind in ("pickup", "delivery"):
        raise InputError(f"{where}: shipments are not served")
    if kind not in TYPES:
        raise InputError(f"{where}.type must be one of {', '.join(TYPES)}")
    name = "" if kind in ("start", "end") else str(integer_in(step.get("id"), f"{where}.id", 0, MAX_ID))
    return _between(kind, name, step, where)


def _between(kind: str, name: str, step: JsonObject, where: str) -> GivenStep:
    at, after, before = (
        integer_in(step[key], f"{where}.{key}", 0, MAX_TIME) if key in step else None
        for key in ("service_at", "service_after", "service_before")
    )
    starts = [instant for instant in (at, after) if instant is not None]
    ends = [instant for instant in (at, before) if instant is not None]
    earliest, latest = max(starts, default=None), min(ends, default=None)
    if earliest is not None and latest is not None and earliest > latest:
        raise InputError(f"{where}: service_at, service_after and service_before contradict each other")
    return GivenStep(kind, name, earliest, latest)
