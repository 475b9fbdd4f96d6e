"""A day on a simulated clock, small enough to be lived through in seconds."""

import json
from dataclasses import replace
from datetime import date

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from api.cli import main
from dispatch.database import open_engine
from dispatch.ids import is_id, new_id
from seed import city
from seed.errors import SimulationFailed
from seed.simulation import sweep
from seed.simulation.clock import Agenda, Clock, Ids
from seed.simulation.day import Outcome, run_day
from seed.simulation.people import Assumptions, Job, People
from seed.simulation.picture import draw_day
from seed.simulation.report import as_json, compared
from seed.simulation.sweep import Block, Line
from seed.simulation.through_api import Policy

DAY = date(2012, 11, 20)
ROUGHLY = Policy(plan_every_s=4 * 3600, max_work=20)


def lived(size: int, *, seed: int = 311, **options: object) -> Outcome:
    return run_day(city.small_day(DAY, size, seed=seed), seed=seed, policy=ROUGHLY, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Of 25 calls."""
    return lived(25)


def test_the_same_seed_gives_the_same_day_byte_for_byte(outcome):
    again = lived(25)

    assert json.dumps(as_json(again)) == json.dumps(as_json(outcome))
    assert again.ours.records == outcome.ours.records


def test_another_seed_gives_another_day(outcome):
    other = run_day(outcome.day, seed=7, policy=ROUGHLY)

    assert other.ours.records.keys() == outcome.ours.records.keys()
    assert other.by_hand.records != outcome.by_hand.records
    assert other.ours.records != outcome.ours.records


def test_a_day_is_sound_and_something_happens_in_it(outcome):
    ours, by_hand = compared(outcome)

    assert outcome.faults == ()
    assert outcome.is_sound
    assert ours.served > 0
    assert by_hand.served > 0
    assert ours.asked.accepted >= ours.served
    assert ours.kept + ours.late + ours.nobody_came == ours.promised


def test_both_who_dispatch_meet_the_same_calls_doors_and_people(outcome):
    chosen = [call for call in outcome.people.day.calls if call.closed_door]
    ours, by_hand = outcome.ours.records, outcome.by_hand.records

    assert ours.keys() == by_hand.keys()
    for call in chosen:
        for record in (ours[call.id], by_hand[call.id]):
            assert record.is_closed == (record.began_at is not None)
    both = [id_ for id_ in ours if ours[id_].is_served and by_hand[id_].is_served]
    assert both
    for id_ in both:
        mine, theirs = ours[id_], by_hand[id_]
        assert mine.ended_at - mine.began_at == theirs.ended_at - theirs.began_at


def test_a_freelancer_says_the_same_to_the_same_job_whoever_asks_and_less_gladly_for_less(outcome):
    people = outcome.people
    job = Job(pay_cents=6_000, work_s=2_700, way_s=900, notice_s=7_200)
    asked = [(call, person) for call in people.day.calls for person in people.day.freelancers]
    another = People(people.day, people.world, outcome.seed, Assumptions())

    first = [people.accepts(call, person, job) for call, person in asked]
    for_little = [people.accepts(call, person, replace(job, pay_cents=1_000)) for call, person in asked]

    assert first == [another.accepts(call, person, job) for call, person in asked]
    assert 0 < sum(for_little) < sum(first) < len(asked)
    assert all(yes or not still for yes, still in zip(first, for_little, strict=True))


def test_a_door_opens_where_the_customer_chose_the_window_if_that_is_assumed(outcome):
    closed = next(call for call in outcome.people.day.calls if call.closed_door)
    people = People(outcome.day, outcome.people.world, 1, Assumptions(closed_if_chosen=0.0))

    assert people.is_closed(closed, is_chosen=False)
    assert not people.is_closed(closed, is_chosen=True)
    assert outcome.people.is_closed(closed, is_chosen=True)


def test_the_sweep_finds_a_technician_in_two_places():
    blocks = [Block(1, 0, 600, "one"), Block(1, 599, 900, "other"), Block(2, 599, 900, "elsewhere")]

    assert list(sweep.overlaps(blocks)) == ["technician 1 is at one and other at 599"]
    assert list(sweep.overlaps([Block(1, 0, 600, "one"), Block(1, 600, 900, "next")])) == []


def test_the_sweep_reads_what_was_planted_in_a_database(sqlite_url):
    engine = open_engine(sqlite_url, foreign_keys=False)
    with engine.begin() as connection:
        triggers = connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'calendar_block'")
        ).scalars()
        for name in list(triggers):
            connection.execute(text(f"DROP TRIGGER {name}"))
        for busy_from in (0, 300):
            values = {"id": new_id(), "from_": busy_from, "to": busy_from + 600}
            connection.execute(
                text(
                    "INSERT INTO calendar_block"
                    " (id, technician_no, organization_id, kind, busy_from, work_from, busy_to)"
                    " VALUES (:id, 1, 'nobody', 'visit', :from_, :from_, :to)"
                ),
                values,
            )
        blocks, ledger = sweep.read(connection)
    engine.dispose()

    assert len(list(sweep.overlaps(blocks))) == 1
    assert ledger == []


@pytest.mark.parametrize(
    ("kinds", "in_time", "fault"),
    [
        (["given", "kept"], True, ""),
        (["given", "changed", "broken"], False, ""),
        (["given"], False, "stands in the ledger as given"),
        (["given", "broken", "kept"], True, "stands in the ledger as given, broken, kept"),
        (["given", "kept"], False, "is kept in the ledger; somebody was there in time: False"),
        ([], True, "stands in the ledger as nothing"),
    ],
)
def test_the_sweep_finds_promises_that_did_not_end_once_or_not_as_it_was(kinds, in_time, fault):
    found = list(sweep.unsettled([Line("visit", kind) for kind in kinds], {"visit": in_time}))

    assert found == ([f"visit {fault}"] if fault else [])


def test_the_clock_goes_forward_only_and_what_is_of_one_instant_happens_in_the_order_put_down():
    clock = Clock(100)
    agenda, seen = Agenda(clock), []
    for at, name in ((300, "late"), (200, "first"), (200, "second"), (50, "past")):
        agenda.at(at, lambda name=name: seen.append((clock.at, name)))

    agenda.run(250)

    assert seen == [(100, "past"), (200, "first"), (200, "second")]
    with pytest.raises(ValueError, match="does not go back"):
        clock.move_to(150)


def test_ids_of_a_simulation_are_ids_and_sort_by_birth():
    clock = Clock(1_353_387_600)
    ids = Ids(clock)

    born = [ids(), ids()]
    clock.move_to(clock.at + 1)
    born.append(ids())

    assert born == sorted(set(born))
    assert all(is_id(id_) for id_ in born)


def test_a_database_that_holds_something_is_refused(sqlite_url):
    with pytest.raises(SimulationFailed, match="not empty"):
        lived(3, database_url=sqlite_url)


def test_a_database_of_another_kind_is_refused_in_words():
    with pytest.raises(SimulationFailed, match="must begin with sqlite:/// or postgresql://"):
        lived(3, database_url="mysql://127.0.0.1/simulation")


def test_the_picture_is_drawn(outcome, tmp_path):
    draw_day(outcome, tmp_path / "day.png")

    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_prints_both_sides_and_what_was_assumed():
    result = CliRunner().invoke(main, ["simulate", "--size", "8", "--plan-every", "480", "--max-work", "10"])

    assert result.exit_code == 0, result.output
    for told in (
        "Promises kept",
        "Time to fill",
        "Inequality of pay",
        "Doors stay closed as they did in 2012",
    ):
        assert told in result.stdout


def test_the_size_of_a_file_is_its_own(tmp_path):
    (tmp_path / "calls.csv").touch()

    result = CliRunner().invoke(main, ["simulate", "--size", "8", "--calls", str(tmp_path / "calls.csv")])

    assert result.exit_code == 2
    assert "a file has its own" in result.stderr
