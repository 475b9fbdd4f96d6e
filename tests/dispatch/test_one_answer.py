"""One answer to one question: slots, candidates, offers, overrides and the solver's own engine agree on who can make a
visit in a window, when it would start there, and what it adds in travel and money."""

from datetime import datetime

from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from dispatch import overriding
from dispatch.appointment import Appointment, Status
from dispatch.choosing import Considered, consider
from dispatch.database import open_session
from dispatch.overriding import Choice
from dispatch.planning import Job, Window, job_of, load_standing, range_of, slot_windows
from dispatch.proposing import Proposal
from dispatch.ranking import rank
from dispatch.settings import Settings
from dispatch.slots import find_slots
from dispatch.standing import SHIFT_BEFORE, calendars_of
from dispatch.technician import Engagement, Kind
from optimizer import Insertion
from optimizer.insertion import PreparedRoutes
from tests.dispatch.test_standing import CHANGES, Change, a_crew
from tests.dispatch.world import NOW, TOMORROW, ZONE, World
from tests.support.examples import examples

Able = dict[str, tuple[datetime, int, int]]
"""By technician id: the start, seconds of travel and cents."""


def is_told_exactly(world: World, job: Job, window: Window) -> dict[str, bool]:
    calendars = calendars_of(world.session, world.organization.id)
    openings = calendars.by_technician(world.session, world.settings, job, window)
    return {opening.insertion.technician: not opening.beside_others for opening in openings}


def by_candidates(world: World, job: Job, window: Window) -> list[Considered]:
    return consider(world.session, world.settings, job, window)


def able(found: list[Considered]) -> Able:
    return {
        one.technician_id: (one.start, one.extra_travel_s, one.extra_cents)
        for one in found
        if one.start is not None and one.extra_travel_s is not None and one.extra_cents is not None
    }


def by_the_solvers_engine(world: World, job: Job, window: Window) -> Able:
    """Everybody's calendars in one problem with one matrix."""
    begin, end = range_of([window], ZONE)
    day = load_standing(
        world.session,
        world.settings,
        world.organization.id,
        (begin - SHIFT_BEFORE, end),
        asking=job,
        windows=[window],
    )
    prepared = PreparedRoutes(day.problem, day.plan)
    found = prepared.recommend(job.appointment.id, job.windows_at_place([window])).insertions
    best: dict[str, Insertion] = {}
    for insertion in found:
        best.setdefault(insertion.technician, insertion)
    return {
        id_: (job.start_of(each.start), each.extra_travel_s, each.extra_cents) for id_, each in best.items()
    }


def by_override(
    world: World, job: Job, technician_id: str, window: Window, start: datetime | None = None
) -> Proposal:
    choice = Choice(technician_id, start, window)
    return overriding.preview(world.session, world.settings, job.appointment, choice, NOW)[0]


def agree(world: World, job: Job, window: Window) -> None:
    found = by_candidates(world, job, window)
    answers, exactly = able(found), is_told_exactly(world, job, window)
    ids = [one.technician_id for one in found]

    engine = by_the_solvers_engine(world, job, window)
    assert {id_: each[0] for id_, each in engine.items()} == {id_: each[0] for id_, each in answers.items()}
    assert all(engine[id_] == answers[id_] for id_ in answers if exactly[id_])

    costs = [each[2] for each in answers.values()]
    assert costs == sorted(costs)
    assert all((one.reason is None) == (one.technician_id in answers) for one in found)

    agree_with_offers(world, job, window, found, answers, exactly)
    agree_with_slots(world, job, window, answers, exactly)
    agree_with_overrides(world, job, ids, window, answers)


def agree_with_offers(
    world: World,
    job: Job,
    window: Window,
    found: list[Considered],
    answers: Able,
    exactly: dict[str, bool],
) -> None:
    ranking = rank(world.session, world.settings, job, window)
    kinds = dict(
        world.session.exec(
            select(Engagement.technician_no, Engagement.kind).where(
                Engagement.organization_id == world.organization.id
            )
        ).all()
    )
    asked = [one for one in found if kinds[one.technician_no] is not Kind.EMPLOYEE]
    assert {one.technician.id for one in ranking.items} == {
        one.technician_id for one in asked if one.reason is None
    }
    for one in ranking.items:
        start, travel_s, cents = answers[one.technician.id]
        assert job.start_of(one.insertion.start) == start
        assert one.detour[0] == max(0, travel_s)
        assert one.insertion.extra_cents == cents or not exactly[one.technician.id]
    assert ranking.reasons == {one.technician_no: one.reason for one in asked if one.reason is not None}


def agree_with_slots(world: World, job: Job, window: Window, answers: Able, exactly: dict[str, bool]) -> None:
    on = window[0].astimezone(ZONE).date()
    slots = find_slots(world.session, world.settings, job, on, on, NOW).items
    slot = next((slot for slot in slots if (slot.start, slot.end) == window), None)
    assert (slot is not None) == bool(answers)
    if slot is not None and all(exactly.values()):
        least = min(cents for _, _, cents in answers.values())
        assert slot.extra_cents == least
        assert slot.extra_travel_s in {travel for _, travel, cents in answers.values() if cents == least}


def agree_with_overrides(world: World, job: Job, ids: list[str], window: Window, answers: Able) -> None:
    """An override leaves others when they are if that can be, and then starts later; at the start that a candidate
    names, it starts then. Where the visit stands already, an override tells the difference to how it stands."""
    for id_ in ids:
        proposal = by_override(world, job, id_, window)
        assert (id_ in answers) == (not proposal.violations), proposal.violations
        if id_ not in answers:
            continue
        start, travel_s, cents = answers[id_]
        exact = by_override(world, job, id_, window, start)
        assert (exact.start, exact.violations) == (start, ())
        assert exact.change == proposal.change
        assert proposal.start is not None
        assert start <= proposal.start <= window[1]
        if job.appointment.technician_no is None:
            assert (proposal.change.travel_s, proposal.change.cents) == (travel_s, cents)


def _employ(world: World, crew: list, number: int) -> None:  # type: ignore[type-arg]
    query = select(Engagement).where(
        Engagement.technician_no == crew[number % 3].no, Engagement.organization_id == world.organization.id
    )
    engagement = world.session.exec(query).one()
    engagement.kind = Kind.EMPLOYEE if number % 2 else Kind.PARTNER


EVERY: list[Change] = [*CHANGES, _employ]


@example(steps=[(CHANGES[0], 3)], km=4, slot=9)
@given(
    steps=st.lists(st.tuples(st.sampled_from(EVERY), st.integers(0, 59)), min_size=1, max_size=6),
    km=st.integers(0, 12),
    slot=st.integers(0, 23),
)
@hypothesis_settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_slots_candidates_offers_overrides_and_the_solver_give_one_answer(
    engine: Engine, settings: Settings, steps: list[tuple[Change, int]], km: int, slot: int
) -> None:
    with open_session(engine) as session:
        world = World(session, settings)
        crew = a_crew(world)
        book = CHANGES[0]
        for change, number in [(book, 1), (book, 8), (book, 16), *steps]:
            change(world, crew, number)
            session.flush()
        job = world.job(world.service(hours=1), km)
        windows = slot_windows(job.service, TOMORROW, ZONE)
        agree(world, job, windows[slot % len(windows)])
        scheduled = select(Appointment).where(Appointment.status == Status.SCHEDULED)
        for appointment in session.exec(scheduled).all()[:1]:
            standing = job_of(session, appointment)
            assert appointment.window_start is not None
            assert appointment.window_end is not None
            agree(world, standing, (appointment.window_start, appointment.window_end))
        session.rollback()
