"""A dry run that is applied visit by visit."""

import pytest
from sqlalchemy import Engine

from dispatch import applying, booking
from dispatch.appointment import Status
from dispatch.errors import InvalidState, UnknownReference
from dispatch.plan_run import PlanRun
from dispatch.planning import Job
from dispatch.replanning import PlanOptions
from tests.dispatch.test_replanning import executed, result
from tests.dispatch.world import DISPATCHER, NOW, World


def proposed(world: World, engine: Engine) -> tuple[PlanRun, Job, Job, Job]:
    """West is to make two visits, East one."""
    world.technician("West", home_km=0)
    world.technician("East", home_km=90)
    west, other = world.job(world.service(hours=2), km=1), world.job(world.service(hours=2), km=2)
    east = world.job(world.service(hours=2), km=89)
    return executed(world, engine, PlanOptions(max_work=200, dry_run=True)), west, other, east


def apply(world: World, run: PlanRun, *jobs: Job) -> None:
    ids = [job.appointment.id for job in jobs]
    applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW, ids or None)


def statuses(world: World, *jobs: Job) -> list[Status]:
    return [world.appointment(job).status for job in jobs]


def test_only_the_changes_of_the_chosen_visits_are_written(world: World, engine: Engine) -> None:
    run, west, other, east = proposed(world, engine)

    apply(world, run, east)

    assert statuses(world, west, other, east) == [Status.UNASSIGNED, Status.UNASSIGNED, Status.SCHEDULED]
    assert result(run)["applied"] == [east.appointment.id]
    assert result(run)["went_along"] == []


def test_what_shares_a_technician_with_a_chosen_visit_goes_along_and_is_named(
    world: World, engine: Engine
) -> None:
    run, west, other, east = proposed(world, engine)

    apply(world, run, west)

    assert statuses(world, west, other, east) == [Status.SCHEDULED, Status.SCHEDULED, Status.UNASSIGNED]
    assert set(result(run)["applied"]) == {west.appointment.id, other.appointment.id}
    assert result(run)["went_along"] == [other.appointment.id]


def test_the_rest_is_applied_by_a_later_call_and_then_nothing_is_left(world: World, engine: Engine) -> None:
    run, west, other, east = proposed(world, engine)

    apply(world, run, east)
    assert run.applied_at is None
    apply(world, run)

    assert run.applied_at == NOW
    assert statuses(world, west, other, east) == [Status.SCHEDULED] * 3
    assert set(result(run)["applied"]) == {job.appointment.id for job in (west, other, east)}
    assert result(run)["skipped_stale"] == []
    with pytest.raises(InvalidState):
        apply(world, run, west)


def test_applying_the_same_visit_again_changes_nothing(world: World, engine: Engine) -> None:
    run, _, _, east = proposed(world, engine)
    apply(world, run, east)
    version = world.appointment(east).version

    apply(world, run, east)

    assert world.appointment(east).version == version
    assert result(run)["applied"] == [east.appointment.id]


def test_a_stale_group_is_skipped_and_reported_and_others_can_still_be_applied(
    world: World, engine: Engine
) -> None:
    run, west, other, east = proposed(world, engine)
    booking.cancel(world.session, world.settings, other.appointment, DISPATCHER, NOW)

    apply(world, run, west)
    apply(world, run, east)

    assert statuses(world, west, east) == [Status.UNASSIGNED, Status.SCHEDULED]
    assert {item["appointment_id"] for item in result(run)["skipped_stale"]} == {
        west.appointment.id,
        other.appointment.id,
    }
    assert run.applied_at == NOW


def test_a_visit_of_which_the_plan_says_nothing_is_unknown(world: World, engine: Engine) -> None:
    run, west, _, _ = proposed(world, engine)
    later = world.job(world.service())

    with pytest.raises(UnknownReference) as refused:
        apply(world, run, west, later)

    assert [error["field"] for error in refused.value.extra["errors"]] == ["appointment_ids"]
    assert statuses(world, west) == [Status.UNASSIGNED]


def test_a_move_tells_from_where_to_where(world: World, engine: Engine) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), km=20)
    executed(world, engine)
    start = world.appointment(job).scheduled_start
    assert start is not None
    bo = world.technician("Bo", home_km=20)

    run = executed(world, engine, PlanOptions(max_work=200, dry_run=True))

    [moved] = result(run)["moved"]
    assert moved["technician_id"] == bo.id
    assert moved["before"] == {
        "technician_id": ada.id,
        "scheduled_start": start.isoformat().replace("+00:00", "Z"),
    }
    before, after = result(run)["objective_before"], result(run)["objective"]
    assert sum(after.values()) < sum(before.values())
