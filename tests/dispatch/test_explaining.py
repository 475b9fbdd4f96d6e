"""What plans decided about freelancers is told to them."""

from sqlalchemy import Engine
from sqlmodel import col, select

from dispatch import replanning
from dispatch.decision import Decision
from dispatch.replanning import PlanOptions
from dispatch.shift import Shift
from dispatch.technician import Kind, Technician
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World


def planned(world: World, engine: Engine) -> None:
    options = PlanOptions(max_work=300)
    run_id = replanning.request_plan(world.session, world.territory, TOMORROW, options, DISPATCHER, NOW).id
    replanning.take_up(world.session, NOW)
    world.session.commit()
    replanning.execute(engine, world.settings, run_id, lambda: NOW)
    world.session.expire_all()


def told(world: World, technician: Technician) -> list[tuple[str, str]]:
    """Outcome and visit of the decisions about a technician."""
    query = select(Decision).where(Decision.technician_no == technician.no).order_by(col(Decision.id))
    return [(row.outcome.value, row.appointment_id or "") for row in world.session.exec(query)]


def leave(world: World, technician: Technician) -> None:
    """The technician does not work tomorrow after all."""
    for shift in world.session.exec(select(Shift).where(Shift.technician_no == technician.no)):
        world.session.delete(shift)
    world.session.commit()


def test_a_plan_tells_a_freelancer_what_it_was_given(world: World, engine: Engine) -> None:
    ada = world.technician()
    visit = world.job(world.service(), 3).appointment

    planned(world, engine)

    assert told(world, ada) == [("assigned", visit.id)]
    [decision] = world.session.exec(select(Decision)).all()
    assert decision.facts == [
        {
            "code": "plan",
            "detail": "Of all who could come, the plan of the day costs least so.",
            "travel_s": 600,
            "travel_m": 4000,
        }
    ]


def test_a_plan_that_changes_nothing_decides_nothing(world: World, engine: Engine) -> None:
    ada = world.technician()
    world.job(world.service())
    planned(world, engine)

    planned(world, engine)

    assert len(told(world, ada)) == 1


def test_who_loses_a_visit_to_another_is_told_and_so_is_the_other(world: World, engine: Engine) -> None:
    ada = world.technician()
    visit = world.job(world.service()).appointment
    planned(world, engine)
    leave(world, ada)
    eve = world.technician("Eve Fixer", kind=Kind.PARTNER)
    world.session.commit()

    planned(world, engine)

    assert told(world, ada) == [("assigned", visit.id), ("unassigned", visit.id)]
    assert told(world, eve) == [("assigned", visit.id)]


def test_an_employee_is_assigned_without_a_word(world: World, engine: Engine) -> None:
    ada = world.technician(kind=Kind.EMPLOYEE)
    world.job(world.service())

    planned(world, engine)

    assert told(world, ada) == []
