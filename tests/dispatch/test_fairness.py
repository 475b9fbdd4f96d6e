"""Work is spread by the optimizer and told to people; no answer and no decision of the past orders anything."""

import ast
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dispatch
from dispatch import offering, placing
from dispatch.appointment import Appointment, Status
from dispatch.booking import promise
from dispatch.decision import Outcome, note
from dispatch.errors import Invalid
from dispatch.fairness import Fairness, fairness_between, gini
from dispatch.offer import Offer
from dispatch.planning import Job, load_for_plan, work_given_s
from dispatch.promise import PromiseKind
from dispatch.review import ReviewOutcome, answer, ask
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.slots import find_slots
from dispatch.technician import Kind, Technician, engagement_of
from optimizer import solve
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, clock_time

PERIOD = (local_day(TOMORROW, ZONE)[0] - timedelta(days=28), local_day(TOMORROW, ZONE)[0])


def given_before(world: World, technician: Technician, hours: float, days: int = 3) -> Appointment:
    """So long a visit was done, some days before tomorrow and without travel, from 8 o'clock."""
    assert technician.no is not None
    appointment = world.job(world.service(hours)).appointment
    begin = clock_time(8, day=TOMORROW - timedelta(days=days))
    end = begin + timedelta(hours=hours)
    appointment.plan(technician.no, begin, end, 0, 0)
    appointment.status = Status.COMPLETED
    appointment.actual_start, appointment.actual_end = begin, end
    world.session.add(appointment)
    world.session.flush()
    return appointment


def planned_with(world: World, settings: Settings | None = None) -> str | None:
    """Who is to do the one visit that is open."""
    day, _ = load_for_plan(world.session, settings or world.settings, world.territory, TOMORROW, NOW, None)
    plan = solve(day.problem, max_work=300, seed=0)
    [route] = plan.routes
    return day.technicians[route.technician].name


# The plan spreads work


def test_of_two_technicians_alike_the_one_with_fewer_hours_gets_the_visit(world: World) -> None:
    ada, eve = world.technician(), world.technician("Eve Fixer")
    world.job(world.service())

    given_before(world, ada, 4)
    to_eve = planned_with(world)
    given_before(world, eve, 8, days=4)
    to_ada = planned_with(world)

    assert (to_eve, to_ada) == ("Eve Fixer", "Ada Plumber")


def test_fairness_is_worth_a_small_detour_alone(world: World) -> None:
    """Eve lives five kilometres farther away; Ada was given sixty hours more."""
    ada = world.technician()
    world.technician("Eve Fixer", home_km=7)
    world.job(world.service(), 1)
    for day in range(3, 13):
        given_before(world, ada, 6, days=day)
    dear = world.settings.model_copy(update={"fairness_cents_per_h2": 50})

    assert planned_with(world) == "Ada Plumber"
    assert planned_with(world, dear) == "Eve Fixer"


def test_only_the_hours_of_the_period_count(world: World) -> None:
    ada = world.technician()
    assert ada.no is not None
    given_before(world, ada, 4, days=28)
    given_before(world, ada, 2, days=29)

    assert work_given_s(world.session, world.organization.id, PERIOD) == {ada.no: 4 * 3600}


def test_hours_beyond_the_least_are_what_a_plan_gets(world: World) -> None:
    ada, eve = world.technician(), world.technician("Eve Fixer")
    given_before(world, ada, 5)
    given_before(world, eve, 2)

    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)

    assert {shift.technician: shift.given_s for shift in day.problem.shifts} == {
        ada.id: 3 * 3600,
        eve.id: 0,
    }
    assert day.problem.weights.fairness_cents_per_h2 == world.settings.fairness_cents_per_h2


def test_work_for_others_is_not_counted(world: World) -> None:
    ada = world.technician()
    rival = world.new_organization("rival")
    given_before(world, ada, 4)

    assert work_given_s(world.session, rival.id, PERIOD) == {}


# Nothing of the past orders


def test_a_decline_changes_no_hours_given(world: World) -> None:
    ada = world.technician()
    offer = _offered(world, ada)
    before = work_given_s(world.session, world.organization.id, (NOW, NOW + timedelta(days=3)))

    offering.decline(world.session, world.settings, offer, DISPATCHER, NOW, None)
    world.session.flush()

    after = work_given_s(world.session, world.organization.id, (NOW, NOW + timedelta(days=3)))
    assert (list(before), after) == ([ada.no], {})


@pytest.mark.parametrize("outcome", list(Outcome))
def test_no_decision_and_no_review_changes_what_is_offered_or_planned(world: World, outcome: Outcome) -> None:
    ada, eve = world.technician(), world.technician("Eve Fixer", home_km=3)
    job = world.job(world.service(), 2)
    before = _seen(world, job)

    for technician in (ada, ada, eve):
        assert technician.no is not None
        facts = [{"code": "rank", "detail": "Of those who could come.", "rank": 9}]
        about = None if outcome is Outcome.SUSPENDED else job.appointment.id
        decision = note(world.session, world.organization.id, about, technician.no, outcome, facts, NOW)
        world.session.flush()
        review = ask(world.session, decision, "Unfair.", DISPATCHER, NOW)
        answer(world.session, review, "No.", ReviewOutcome.UPHELD, DISPATCHER, NOW)

    assert _seen(world, job) == before


def _seen(world: World, job: Job) -> tuple[object, ...]:
    """The slots of a visit with their grades, and the problem that a plan would solve."""
    slots = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW).items
    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)
    graded = [(slot.start, slot.grade, slot.extra_travel_s, slot.extra_cents) for slot in slots]
    return graded, day.problem.visits, day.problem.shifts, day.problem.weights


def test_whoever_orders_people_can_write_decisions_and_not_read_them() -> None:
    """Who may be asked, read or forget them is told apart; all else of the domain knows `note` alone."""
    told = {f"dispatch.{name}" for name in ("decision", "review", "fairness", "own_data")}
    readers = {"access", "audit", "decision", "own_data", "review", "tables", "worker"}
    modules = [path for path in Path(dispatch.__file__).parent.glob("*.py") if path.stem not in readers]

    known = {(path.stem, name) for path in modules for name in _known_of(path, told)}

    assert ("joining", "note") in known
    assert {name for _, name in known} == {"note", "Outcome"}


def _known_of(path: Path, modules: set[str]) -> set[str]:
    """What a file imports of these modules: their names, or a module whole by its dotted name."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports if node.module in modules for alias in node.names}
    whole = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    return names | (whole & modules)


def _offered(world: World, technician: Technician) -> Offer:
    """A promised visit, planned with the technician and asked of it for 90 dollars."""
    job = world.job(world.service())
    window = (clock_time(9), clock_time(11))
    placing.place(world.session, world.settings, job, window, technician.no)
    promise(world.session, world.settings, job.appointment, window, PromiseKind.GIVEN, DISPATCHER, NOW)
    job.appointment.move(Status.SCHEDULED)
    world.session.flush()
    terms = offering.Terms(pay_cents=9_000)
    return offering.send_direct(
        world.session, world.settings, job.appointment, technician, terms, DISPATCHER, NOW
    )


# What is told


def completed(world: World, technician: Technician) -> Appointment:
    """A visit that was accepted for 90 dollars, an hour long, 307 seconds away."""
    offer = _offered(world, technician)
    visit = offering.accept(world.session, world.settings, offer, DISPATCHER, NOW)
    visit.status, visit.actual_start, visit.actual_end = Status.COMPLETED, clock_time(9), clock_time(10)
    world.session.add(visit)
    world.session.flush()
    return visit


def told(world: World) -> Fairness:
    last = TOMORROW + timedelta(days=1)
    first = last - timedelta(days=28)
    return fairness_between(world.session, world.organization, first, last, NOW)


def test_everybody_is_told_with_hours_pay_and_offers(world: World) -> None:
    ada = world.technician()
    world.technician("Eve Fixer", kind=Kind.PARTNER)
    completed(world, ada)

    found = told(world)

    mine, others = found.total.shares
    assert (mine.technician_name, mine.visits, mine.visit_s, mine.travel_s) == ("Ada Plumber", 1, 3600, 307)
    assert (mine.pay_cents, mine.pay_per_active_hour_cents) == (9_000, round(9_000 * 3600 / 3907))
    assert (mine.offers_received, mine.offers_accepted) == (1, 1)
    assert (others.active_s, others.pay_cents, others.pay_per_active_hour_cents) == (0, 0, None)
    assert (found.total.gini_of_hours, found.total.gini_of_pay) == (0.5, 0.5)


def test_an_offer_that_was_declined_was_received_and_not_accepted(world: World) -> None:
    offer = _offered(world, world.technician())
    offering.decline(world.session, world.settings, offer, DISPATCHER, NOW, None)

    [share] = fairness_between(world.session, world.organization, NOW.date(), TOMORROW, NOW).total.shares

    assert (share.offers_received, share.offers_accepted, share.visits) == (1, 0, 0)


def test_each_trade_is_told_over_those_who_are_verified_for_it(world: World) -> None:
    ada = world.technician()
    world.technician("Eve Fixer", skills={"wiring": 2})
    world.service(required_skills={"wiring": 1, "plumbing": 1})
    completed(world, ada)

    found = told(world)

    assert {trade: [s.technician_name for s in own.shares] for trade, own in found.trades.items()} == {
        "plumbing": ["Ada Plumber"],
        "wiring": ["Eve Fixer"],
    }
    assert (found.trades["plumbing"].gini_of_hours, found.trades["wiring"].gini_of_hours) == (0, None)


def test_an_employees_hours_count_and_its_pay_does_not(world: World) -> None:
    employee = world.technician(kind=Kind.EMPLOYEE)
    freelancer = world.technician("Eve Fixer")
    given_before(world, employee, 2)
    given_before(world, freelancer, 2)

    found = told(world)

    assert found.total.gini_of_hours == 0
    assert found.total.gini_of_pay is None
    assert found.total.shares[0].pay_per_active_hour_cents is None


def test_who_is_suspended_and_did_nothing_is_not_in_it(world: World) -> None:
    idle, busy = world.technician(), world.technician("Eve Fixer")
    given_before(world, busy, 2)
    for technician in (idle, busy):
        engagement_of(world.session, technician, world.organization.id).suspend("Ill.")
    world.session.flush()

    assert [share.technician_name for share in told(world).total.shares] == ["Eve Fixer"]


def test_a_range_that_is_too_long_is_refused(world: World) -> None:
    with pytest.raises(Invalid):
        fairness_between(world.session, world.organization, date(2026, 1, 1), TOMORROW, NOW)


# The coefficient


def test_the_coefficient_is_none_where_nobody_has_anything() -> None:
    assert (gini([]), gini([0, 0])) == (None, None)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_the_coefficient_is_half_the_mean_difference_by_the_mean(values: list[int]) -> None:
    found, total, n = gini(values), sum(values), len(values)

    if found is None:
        assert total == 0
        return
    differences = sum(abs(one - other) for one, other in product(values, repeat=2))
    assert found == pytest.approx(differences / (2 * n * total))
    assert 0 <= found <= (n - 1) / n + 1e-12
    assert gini([value * 7 for value in values]) == pytest.approx(found)


@given(st.integers(1, 10**9), st.integers(1, 50))
def test_the_coefficient_is_0_for_equals_and_most_where_one_has_all(value: int, n: int) -> None:
    assert gini([value] * n) == 0
    assert gini([0] * (n - 1) + [value]) == pytest.approx((n - 1) / n)
