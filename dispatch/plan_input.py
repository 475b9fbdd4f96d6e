"""What a plan run was given and what the search did, kept so that it can be solved again and give the same plan.

Travel is kept as the places and the name of the provider that made it, with a digest of the matrices: the matrices
themselves would be a hundred times as large. A provider whose answer has changed since is found by the digest.
"""

import hashlib
import json
import platform
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, LargeBinary, delete
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.errors import NotFound
from dispatch.plan_run import PlanRun
from dispatch.plan_task import PlanAnswer, PlanTask, solve_task
from dispatch.planning import WorkingDay, travel_provider
from dispatch.settings import Settings
from optimizer import Epoch, Merge, Plan, Problem, Route, Shift, TravelMatrix, Visit, Weights
from optimizer.travel import Place as Point

DECIDING = ("freelance-dispatch", "ortools", "numba", "numpy")
"""Packages that decide what comes of a search."""
FORMAT = 1


class PlanInput(SQLModel, table=True):
    """task, record: compressed JSON of what was asked, and of the search with its answer, which is there once the run
    is done. versions: of the packages that decide, and of Python."""

    __tablename__ = "plan_input"

    plan_run_id: str = Field(foreign_key="plan_run.id", primary_key=True, max_length=36)
    task: bytes = Field(sa_type=LargeBinary)
    record: bytes | None = Field(default=None, sa_type=LargeBinary)
    versions: dict[str, str] = Field(sa_type=JSON)
    kept_at: datetime = Field(index=True)


def versions_here() -> dict[str, str]:
    """Of the packages that decide, and of Python."""
    return {name: version(name) for name in DECIDING} | {"python": platform.python_version()}


# Keeping


def keep_task(
    session: Session, settings: Settings, run: PlanRun, day: WorkingDay, task: PlanTask, now: datetime
) -> None:
    """In the place of what was kept when the run was taken up before."""
    session.merge(
        PlanInput(
            plan_run_id=run.id,
            task=_packed(_task_fields(settings, day, task)),
            versions=versions_here(),
            kept_at=now,
        )
    )


def keep_record(session: Session, run: PlanRun, answer: PlanAnswer) -> None:
    """What the search did and found."""
    kept = session.get(PlanInput, run.id)
    if kept is not None:
        kept.record = _packed(_record_fields(answer))
        session.add(kept)


def forget_inputs(session: Session, kept_before: datetime, limit: int = 100) -> int:
    """Deletes what was kept before then; the runs and their answers stay. Gives back how many."""
    old = select(PlanInput.plan_run_id).where(col(PlanInput.kept_at) < kept_before).limit(limit)
    ids = session.exec(old).all()
    return session.exec(delete(PlanInput).where(col(PlanInput.plan_run_id).in_(ids))).rowcount


def _packed(fields: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(fields, separators=(",", ":")).encode(), 9)


def _unpacked(packed: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(zlib.decompress(packed))
    return fields


@cache
def _form(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _fields(kind: Any, value: Any) -> Any:
    return _form(kind).dump_python(value, mode="json", exclude_defaults=True)


def _task_fields(settings: Settings, day: WorkingDay, task: PlanTask) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "visits": _fields(tuple[Visit, ...], task.problem.visits),
        "shifts": _fields(tuple[Shift, ...], task.problem.shifts),
        "weights": _fields(Weights, task.problem.weights),
        "places": [[place.lat, place.lon] for place in day.places],
        "travel": settings.travel,
        "travel_digest": _digest(task.problem.travel),
        "standing": _fields(tuple[Route, ...], task.standing.routes),
        "stands": {visit_id: list(where) for visit_id, where in task.stands.items()},
        "time_limit_s": task.time_limit_s,
        "max_work": task.max_work,
        "seed": task.seed,
        "max_moves": task.max_moves,
    }


def _record_fields(answer: PlanAnswer) -> dict[str, Any]:
    return {
        "solves": [
            {
                "seed": plan.seed,
                "epochs": _fields(tuple[Epoch, ...], plan.epochs),
                "merges": _fields(tuple[Merge, ...], plan.merges),
            }
            for plan in answer.solves
        ],
        "answer": _told(answer.plan),
    }


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "routes": {route.shift: [stop.visit for stop in route.stops] for route in plan.routes},
        "objective": dict(plan.objective),
    }


def _digest(travel: TravelMatrix) -> str:
    digest = hashlib.sha256(travel.duration_s.tobytes())
    digest.update(travel.distance_m.tobytes())
    return digest.hexdigest()


# Solving again


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a visit (its shift and its place in it, from 1 on) or of a term of the objective: what was kept, and what
    comes of it now."""

    what: str
    kept: str
    now: str


@dataclass(frozen=True, slots=True)
class Replay:
    """differences: none where the same plan came of it. versions: kept and here, where they differ. has_same_travel:
    whether the travel between the places is what it was."""

    visits: int
    solves: int
    iterations: int
    bytes_kept: int
    has_same_travel: bool
    versions: tuple[Difference, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run kept, unpacked."""

    task: Mapping[str, Any]
    record: Mapping[str, Any]
    versions: Mapping[str, str]
    size: int


def kept_of(session: Session, settings: Settings, run_id: str) -> Kept:
    """Raises `NotFound` for a run that there is not, that kept no input, or that has no answer."""
    if session.get(PlanRun, run_id) is None:
        raise NotFound(detail=f"There is no plan {run_id}.")
    kept = session.get(PlanInput, run_id)
    if kept is None:
        raise NotFound(
            detail=f"The plan {run_id} has no input kept: it was made before inputs were, it was never begun, or it is "
            f"older than {settings.plan_input_days} days (DISPATCH_PLAN_INPUT_DAYS)."
        )
    if kept.record is None:
        raise NotFound(detail=f"The plan {run_id} came to no answer that could be compared.")
    size = len(kept.task) + len(kept.record)
    return Kept(_unpacked(kept.task), _unpacked(kept.record), kept.versions, size)


def replay(settings: Settings, kept: Kept) -> Replay:
    """Solves what a run was given again, following what its search did."""
    task, has_same_travel = _task_from(settings, kept.task)
    answer = solve_task(task, record=[_solve_from(fields) for fields in kept.record["solves"]])
    return Replay(
        visits=len(task.problem.visits),
        solves=len(answer.solves),
        iterations=sum(plan.iterations for plan in answer.solves),
        bytes_kept=kept.size,
        has_same_travel=has_same_travel,
        versions=_differing(kept.versions, versions_here()),
        differences=_compared(kept.record["answer"], _told(answer.plan)),
    )


def _task_from(settings: Settings, fields: Mapping[str, Any]) -> tuple[PlanTask, bool]:
    provider = travel_provider(settings.model_copy(update={"travel": fields["travel"]}))
    travel = provider.matrix([Point(lat, lon) for lat, lon in fields["places"]])
    problem = Problem(
        _form(tuple[Visit, ...]).validate_python(fields["visits"]),
        _form(tuple[Shift, ...]).validate_python(fields["shifts"]),
        travel,
        _form(Weights).validate_python(fields["weights"]),
    )
    task = PlanTask(
        problem=problem,
        standing=Plan(_form(tuple[Route, ...]).validate_python(fields["standing"]), ()),
        stands={visit_id: (who, at) for visit_id, (who, at) in fields["stands"].items()},
        time_limit_s=fields["time_limit_s"],
        max_work=fields["max_work"],
        seed=fields["seed"],
        max_moves=fields["max_moves"],
    )
    return task, _digest(travel) == fields["travel_digest"]


def _solve_from(fields: Mapping[str, Any]) -> Plan:
    return Plan(
        (),
        (),
        seed=fields["seed"],
        epochs=_form(tuple[Epoch, ...]).validate_python(fields["epochs"]),
        merges=_form(tuple[Merge, ...]).validate_python(fields["merges"]),
    )


def _compared(kept: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Difference, ...]:
    return _differing(_spots(kept), _spots(now), "unassigned") + _differing(
        {term: str(cents) for term, cents in kept["objective"].items()},
        {term: str(cents) for term, cents in now["objective"].items()},
    )


def _spots(told: Mapping[str, Any]) -> dict[str, str]:
    return {
        visit_id: f"{shift} stop {place}"
        for shift, visit_ids in told["routes"].items()
        for place, visit_id in enumerate(visit_ids, start=1)
    }


def _differing(
    kept: Mapping[str, str], now: Mapping[str, str], missing: str = "none"
) -> tuple[Difference, ...]:
    return tuple(
        Difference(name, kept.get(name, missing), now.get(name, missing))
        for name in sorted(kept.keys() | now.keys())
        if kept.get(name) != now.get(name)
    )
