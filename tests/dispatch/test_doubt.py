"""No plan promises a window that only freelancers could keep who will hardly accept."""

from sqlalchemy import Engine
from sqlmodel import select

from dispatch.appointment import Status
from dispatch.promise import Promise
from dispatch.slots import UNLIKELY
from dispatch.technician import Kind
from tests.dispatch.market import LOW, POOR, USUAL, paid
from tests.dispatch.test_replanning import executed, result
from tests.dispatch.world import World


def test_a_visit_that_hardly_anybody_will_accept_is_promised_nothing_and_says_why(
    market: World, engine: Engine
) -> None:
    poor = paid(market, market.technician(), POOR)
    job = market.job(market.service())

    run = executed(market, engine)

    [left] = result(run)["unassigned"]
    assert left["appointment_id"] == job.appointment.id
    assert left["reasons"] == [{"code": UNLIKELY.code, "detail": UNLIKELY.detail, "technicians": [poor.id]}]
    appointment = market.appointment(job)
    assert (appointment.status, appointment.is_promised) == (Status.UNASSIGNED, False)
    assert market.session.exec(select(Promise)).all() == []


def test_a_visit_that_is_likely_to_be_accepted_is_promised(market: World, engine: Engine) -> None:
    paid(market, market.technician(), USUAL)
    job = market.job(market.service())

    executed(market, engine)

    assert market.appointment(job).is_promised


def test_several_who_may_accept_are_enough_together(market: World, engine: Engine) -> None:
    paid(market, market.technician("Ada"), LOW)
    paid(market, market.technician("Bo"), LOW)
    job = market.job(market.service())

    executed(market, engine)

    assert market.appointment(job).is_promised


def test_who_is_employed_is_not_asked(market: World, engine: Engine) -> None:
    paid(market, market.technician(kind=Kind.EMPLOYEE), POOR)
    job = market.job(market.service())

    executed(market, engine)

    assert market.appointment(job).is_promised


def test_before_answers_have_taught_anything_every_plan_promises(world: World, engine: Engine) -> None:
    paid(world, world.technician(), USUAL // 20)
    job = world.job(world.service())

    executed(world, engine)

    assert world.appointment(job).is_promised


def test_what_was_promised_before_stays_planned(market: World, engine: Engine) -> None:
    technician = paid(market, market.technician(), USUAL)
    job = market.job(market.service())
    executed(market, engine)
    paid(market, technician, POOR)

    run = executed(market, engine)

    assert [item["appointment_id"] for item in result(run)["kept"]] == [job.appointment.id]
    assert market.appointment(job).is_promised
