"""Plans: runs of the optimizer on a territory's day."""

from typing import Any, Self

from flask import Response
from pydantic import Field

from api import context
from api.auth import allow
from api.openapi import resource
from api.render import answer
from api.schemas import (
    EXAMPLE_ID,
    Answer,
    Body,
    Day,
    Id,
    Instant,
    Path,
    ReasonOut,
    Reference,
    Window,
    absent,
    example,
)
from dispatch import applying, replanning
from dispatch.access import actor_of, owned, territory_named
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.replanning import PlanOptions

plans = resource("plans", "Runs of the optimizer on a territory's day.")


class NewPlan(Body):
    """What to plan. time_limit_s bounds it by the clock (10 s if nothing else is said), max_work by iterations, which
    makes it repeatable. freeze_before: what begins before it stays. dry_run: applied only when asked to. max_moves: at
    most so many visits that stand in a calendar get another technician, another start or none; what is newly assigned
    is no move."""

    model_config = example({"territory_id": EXAMPLE_ID, "date": "2027-03-09", "time_limit_s": 10})

    territory_id: Reference
    date: Day
    time_limit_s: float | None = Field(None, gt=0, le=3_600)
    max_work: int | None = Field(None, ge=1, le=10**9)
    seed: int = Field(0, ge=0, lt=2**31)
    freeze_before: Instant | None = None
    dry_run: bool = False
    max_moves: int | None = Field(None, ge=0, le=10_000)


class PlanSelection(Body):
    """Which changes to apply: those of these visits, and what must go with them; by default all that are left."""

    model_config = example({"appointment_ids": [EXAMPLE_ID]})

    appointment_ids: list[Reference] | None = Field(None, min_length=1, max_length=10_000)


class Before(Answer):
    """With whom and when the visit stood. technician_id: null for somebody who works for the organization no more."""

    technician_id: str | None
    scheduled_start: Instant


class PlannedVisit(Answer):
    """When and by whom, and what the customer is told. before: of one that is moved."""

    appointment_id: str
    technician_id: str
    scheduled_start: Instant
    arrival_window: Window
    before: Before | None = Field(None, exclude_if=absent)


class UnplannedVisit(Answer):
    """Why it was left out, and what would help. before: of one that stood in a calendar."""

    appointment_id: str
    reasons: list[ReasonOut]
    would_fit_if: list[ReasonOut]
    before: Before | None = Field(None, exclude_if=absent)


class PlanProgress(Answer):
    """The best so far."""

    elapsed_s: float
    fraction: float
    iterations: int
    cost_cents: int
    unserved: int


class PlanOut(Answer):
    """A run. The lists and figures are there once it is done; moves that no longer held when they were to be applied
    are in `skipped_stale`. objective: cents by the name of the term; objective_before: of the calendars as they stood.
    applied: the visits that are written, of a run applied in part; went_along: of these, the ones that were not chosen
    the last time and share a technician with a chosen one. applied_at: since nothing of it is left to apply."""

    id: str
    status: PlanStatus
    territory_id: str
    date: Day
    dry_run: bool
    max_moves: int | None
    progress: PlanProgress | None
    moved: list[PlannedVisit] | None = Field(None, exclude_if=absent)
    kept: list[PlannedVisit] | None = Field(None, exclude_if=absent)
    assigned: list[PlannedVisit] | None = Field(None, exclude_if=absent)
    unassigned: list[UnplannedVisit] | None = Field(None, exclude_if=absent)
    skipped_stale: list[PlannedVisit] | None = Field(None, exclude_if=absent)
    objective: dict[str, int] | None = Field(None, exclude_if=absent)
    objective_before: dict[str, int] | None = Field(None, exclude_if=absent)
    kpis: dict[str, int] | None = Field(None, exclude_if=absent)
    applied: list[str] | None = Field(None, exclude_if=absent)
    went_along: list[str] | None = Field(None, exclude_if=absent)
    error: str | None = Field(None, exclude_if=absent)
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    applied_at: Instant | None

    @classmethod
    def of(cls, run: PlanRun) -> Self:
        """Built from its row."""
        fields: dict[str, Any] = run.model_dump() | {"date": run.day} | (run.result or {})
        return cls.model_validate(fields)


class PlanPath(Path):
    """Which run."""

    plan_id: Id


@plans.post("/plans", summary="Plan a day", responses={202: PlanOut})
@allow("dispatcher")
def create(body: NewPlan) -> Response:
    """Queues it. Without `dry_run` it is applied when done, and promises windows to visits that have none."""
    session, principal = context.session(), context.principal()
    territory = territory_named(session, principal, body.territory_id)
    options = PlanOptions(
        time_limit_s=body.time_limit_s,
        max_work=body.max_work,
        seed=body.seed,
        freeze_before=body.freeze_before,
        dry_run=body.dry_run,
        max_moves=body.max_moves,
    )
    run = replanning.request_plan(session, territory, body.date, options, actor_of(principal), context.now())
    return _answer(run, 202)


@plans.get("/plans/<plan_id>", summary="Read a run", responses={200: PlanOut})
@allow("dispatcher")
def read(path: PlanPath) -> Response:
    """With its progress, and once it is done with what it changes."""
    return _answer(owned(context.session(), context.principal(), PlanRun, path.plan_id))


@plans.delete("/plans/<plan_id>", summary="Cancel a run", responses={200: PlanOut})
@allow("dispatcher")
def cancel(path: PlanPath) -> Response:
    """Nothing of it is applied."""
    run = owned(context.session(), context.principal(), PlanRun, path.plan_id, change=True)
    return _answer(replanning.cancel_plan(context.session(), run, context.now()))


@plans.post("/plans/<plan_id>/apply", summary="Apply a dry run", responses={200: PlanOut})
@allow("dispatcher")
def apply(path: PlanPath, body: PlanSelection) -> Response:
    """In groups of moves that share a technician, each whole or, where something changed meanwhile, not at all. What is
    not chosen stays to be applied by a later call; once nothing is left, another is 409."""
    session, principal = context.session(), context.principal()
    run = owned(session, principal, PlanRun, path.plan_id, change=True)
    applying.apply_plan(
        session, context.settings(), run, actor_of(principal), context.now(), body.appointment_ids
    )
    return _answer(run)


def _answer(run: PlanRun, status: int = 200) -> Response:
    shown_at = run.heartbeat_at or run.created_at
    return answer(
        PlanOut.of(run),
        status,
        version=f"{run.version}.{int(shown_at.timestamp() * 1000)}",
        location=f"/v1/plans/{run.id}" if status == 202 else None,
    )
