import json
import os
import stat
from datetime import date

import pytest
from click.testing import CliRunner
from sqlmodel import Session, select

from api.cli import main
from dispatch.appointment import Appointment
from dispatch.database import open_engine, open_session
from dispatch.keys import authenticate
from dispatch.offer import Offer, OfferStatus
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.technician import Technician
from dispatch.worker import run_due
from optimizer import Plan, TimeWindow
from seed import city, commands, demo, report
from seed.nyc311 import COLUMNS, tomorrow

ROW = (
    "{number},2012-11-20T09:15:30,,PLUMBING,WATER-LEAKS,,12 EXAMPLE STREET,"
    "BROOKLYN,BROOKLYN,11201,40.693000,-73.990000,0"
)


@pytest.fixture
def database(sqlite_url, tmp_path, monkeypatch):
    """A migrated SQLite database with the organization `acme`, as the commands find it."""
    monkeypatch.setenv("DISPATCH_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(tmp_path / "var"))
    run(
        "organizations",
        "create",
        "acme",
        "--name",
        "Acme",
        "--currency",
        "USD",
        "--time-zone",
        "America/New_York",
    )
    return sqlite_url


@pytest.fixture
def small_day(monkeypatch):
    """The demonstration with 20 calls and 10 freelancers."""

    def generate(day, *, seed):
        calls, people = (
            city.generate_calls(day, count=20, seed=seed),
            city.generate_freelancers(day, count=10, seed=seed),
        )
        return city.Day(day, calls, people)

    monkeypatch.setattr(city, "generate_day", generate)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def file_of(tmp_path, *rows):
    path = tmp_path / "calls.csv"
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n")
    return path


def rows_of(url, table):
    engine = open_engine(url)
    with Session(engine) as session:
        found = session.exec(select(table)).all()
    engine.dispose()
    return found


def test_import_loads_the_good_rows_and_prints_the_others_with_line_and_reason(database, tmp_path):
    file = file_of(
        tmp_path, ROW.format(number=1), ROW.format(number=2).replace("40.693000", ""), ROW.format(number=3)
    )

    result = run("import", "--organization", "acme", "--format", "nyc311", file)

    assert result.exit_code == 0
    assert "line 3: lat is missing" in result.stderr
    assert "2 created, 0 there before, 1 refused" in result.stdout
    assert {request.external_id for request in rows_of(database, ServiceRequest)} == {"1", "3"}


def test_importing_a_file_twice_creates_nothing_twice(database, tmp_path):
    file = file_of(tmp_path, ROW.format(number=1))
    run("import", "--organization", "acme", "--format", "nyc311", file)

    result = run("import", "--organization", "acme", "--format", "nyc311", file)

    assert result.exit_code == 0
    assert "0 created, 1 there before, 0 refused" in result.stdout
    assert len(rows_of(database, ServiceRequest)) == 1


def test_imported_calls_are_moved_to_tomorrow_unless_their_dates_are_kept(database, tmp_path):
    run("import", "--organization", "acme", "--format", "nyc311", file_of(tmp_path, ROW.format(number=1)))
    run(
        "import",
        "--organization",
        "acme",
        "--format",
        "nyc311",
        "--keep-dates",
        file_of(tmp_path, ROW.format(number=2)),
    )

    starts = {request.external_id: request.earliest_start for request in rows_of(database, ServiceRequest)}
    assert starts["1"].date() == tomorrow(commands.utc_now())
    assert starts["2"].date() == date(2012, 11, 20)


def test_an_import_that_loads_nothing_fails(database, tmp_path):
    file = file_of(tmp_path, ROW.format(number=1).replace("PLUMBING", "Noise"))

    result = run("import", "--organization", "acme", "--format", "nyc311", file)

    assert result.exit_code == 1
    assert "no trade answers complaint type 'Noise'" in result.stderr


def test_a_file_of_another_kind_is_refused_without_a_traceback(database, tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")

    result = run("import", "--organization", "acme", "--format", "nyc311", file)

    assert result.exit_code == 1
    assert "must name these columns" in result.stderr


def test_import_wants_a_file_or_a_date(database):
    result = run("import", "--organization", "acme", "--format", "nyc311")

    assert result.exit_code == 2
    assert "give either FILE or --date" in result.stderr


def test_import_for_an_unknown_organization_fails(database, tmp_path):
    file = file_of(tmp_path, ROW.format(number=1))

    result = run("import", "--organization", "nobody", "--format", "nyc311", file)

    assert result.exit_code == 1
    assert "nobody" in result.stderr


def test_the_demonstration_plans_the_day_and_promises_windows(database, small_day):
    result = run("demo", "--time-limit", "1")

    assert result.exit_code == 0, result.output
    assert "Visits served" in result.stdout
    promised = [a for a in rows_of(database, Appointment) if a.window_start is not None]
    assert promised
    assert all(a.window_start <= a.scheduled_start <= a.window_end for a in promised)


def test_the_windows_that_are_rehearsed_are_those_that_customers_are_told(database, small_day, monkeypatch):
    rehearsed = {}

    def spy(problem, plan, by_hand, promise, **rest):
        stops = [stop for route in plan.routes for stop in route.stops]
        rehearsed.update({stop.visit: promise(stop.visit, stop.start) for stop in stops})
        return report.compare(problem, plan, by_hand, promise, **rest)

    monkeypatch.setattr(demo, "compare", spy)

    run("demo", "--time-limit", "1")

    told = {
        a.id: TimeWindow(int(a.window_start.timestamp()), int(a.window_end.timestamp()))
        for a in rows_of(database, Appointment)
        if a.window_start is not None
    }
    assert rehearsed
    assert rehearsed == told


def test_the_demonstration_keeps_its_figures_its_map_and_the_dispatchers_key(database, small_day, tmp_path):
    run("demo", "--time-limit", "1")

    folder = tmp_path / "var" / "demo"
    day = tomorrow(commands.utc_now())
    answer = json.loads((folder / f"demo-{day}.json").read_text())
    assert answer["ours"]["served"] == sum(len(route["stops"]) for route in answer["ours"]["plan"]["routes"])
    assert answer["ours"]["visits"] == answer["by_hand"]["visits"] == 20
    assert (folder / f"demo-{day}.png").stat().st_size > 10_000
    assert stat.S_IMODE(os.stat(folder / "demo.key").st_mode) == 0o600


def test_one_freelancer_of_the_demonstration_is_asked_and_nobody_else(database, small_day, tmp_path):
    run("demo", "--time-limit", "1")
    engine = open_engine(database)

    run_due(engine, Settings(database_url=database), commands.utc_now())

    offers = rows_of(database, Offer)
    (asked,) = {offer.technician_no for offer in offers}
    planned = [a for a in rows_of(database, Appointment) if a.technician_no == asked]
    assert {offer.appointment_id for offer in offers} == {a.id for a in planned}
    assert {offer.status for offer in offers} == {OfferStatus.PENDING}
    (key_file,) = (tmp_path / "var" / "demo").glob("demo-*-freelancer.key")
    with open_session(engine, read_only=True) as session:
        principal = authenticate(session, key_file.read_text().strip(), commands.utc_now())
        assert session.get(Technician, asked).id == principal.technician_id


def test_a_day_that_was_planned_before_is_shown_again_without_planning(database, small_day, monkeypatch):
    first = run("demo", "--time-limit", "1", "--json")
    monkeypatch.setattr(demo, "plan_and_compare", None)

    second = run("demo", "--json")

    assert second.exit_code == 0, second.output
    assert json.loads(second.stdout) == json.loads(first.stdout)


def test_the_demonstration_of_a_file_is_an_organization_of_its_own(database, small_day, tmp_path):
    file = file_of(tmp_path, *(ROW.format(number=number) for number in range(1, 4)))

    result = run("demo", "--calls", file, "--time-limit", "1", "--json")

    assert json.loads(result.stdout)["organization"] == "demo-nyc311"
    assert json.loads(result.stdout)["ours"]["visits"] == 3


def test_a_broken_plan_fails_the_run_loudly(database, small_day, monkeypatch):
    monkeypatch.setattr(demo, "plan_by_hand", lambda problem, order: Plan((), ()))

    result = run("demo", "--time-limit", "1")

    assert result.exit_code == 1
    assert "the plan by hand breaks" in result.stderr
    assert "missing" in result.stderr


def test_a_failed_plan_run_fails_the_demonstration(database, small_day, monkeypatch):
    def fail(*_, **__):
        raise ArithmeticError("the search went astray")

    monkeypatch.setattr("optimizer.solve", fail)

    result = run("demo", "--time-limit", "1")

    assert result.exit_code == 1
    assert "ArithmeticError: the search went astray" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_loaded_day_is_planned_from_the_command_line(database, tmp_path, small_day):
    run("demo", "--time-limit", 1)

    again = run("plan", "--organization", "demo", "--max-work", 50, "--json")
    told = run("plan", "--organization", "demo", "--max-work", 50, "--dry-run")

    kept = json.loads(again.stdout)["kept"]
    assert again.exit_code == 0, again.stderr
    assert len(kept) == len({item["appointment_id"] for item in kept}) > 0
    assert "kept" in told.stdout
