"""A run of the optimizer on a territory's day: what was asked, how far it is, what came of it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from dispatch.columns import enum_type
from dispatch.ids import new_id


class PlanStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PlanRun(SQLModel, table=True):
    """progress: `elapsed_s`, `fraction`, `iterations`, `cost_cents`, `unserved` while it runs. solution:
    visits in order by shift, with the versions they were computed from. result: the lists and figures of
    the answer. max_moves: how many visits it may move, see `plan_task`. heartbeat_at: when its process last showed that
    it lives. attempts: how often a process took it up."""

    __tablename__ = "plan_run"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    territory_id: str = Field(foreign_key="territory.id", index=True, max_length=36)
    day: date
    status: PlanStatus = Field(default=PlanStatus.QUEUED, sa_type=enum_type(PlanStatus), index=True)
    time_limit_s: float | None = None
    max_work: int | None = None
    seed: int = 0
    max_moves: int | None = None
    freeze_before: datetime | None = None
    dry_run: bool = False
    requested_by: str = Field(max_length=24)
    requested_by_id: str | None = Field(default=None, max_length=36)
    progress: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    solution: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    error: str | None = Field(default=None, max_length=2000)
    attempts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    finished_at: datetime | None = None
    applied_at: datetime | None = None
    version: int = 1
