"""How long a repair of a full day takes, and whom it moves: a generated city, its calls planned, then absences,
overruns and emergencies one after another, each a dry run, so that all repair the same day.

python -m benchmarks.repairs
"""

import os
import random
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine
from sqlmodel import Session, col, select

import optimizer
from benchmarks.booking import Size, build
from dispatch import database, repairing
from dispatch.appointment import Appointment, Status
from dispatch.events import Actor
from dispatch.organization import Organization
from dispatch.repair_change import Repair
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings, load_settings
from dispatch.technician import Technician
from dispatch.territory import Territory

BY = Actor("dispatcher")


def measure(
    engine: Engine, settings: Settings, day: datetime, count: int, say: Callable[[str], None]
) -> Table:
    """Of each kind so many, at eleven of that day."""
    table = Table("repair", "median", "longest", "moved", "unassigned", "promises broken")
    kinds: dict[str, Callable[[Session, str, random.Random], Repair]] = {
        "absent": lambda session, id_, rng: _absent(session, settings, id_, day, rng),
        "overrun": lambda session, id_, rng: _overrun(session, settings, id_, day, rng),
        "emergency": lambda session, id_, rng: _emergency(session, settings, id_, day, rng),
    }
    for name, attempt in kinds.items():
        rng = random.Random(1)
        took, found = [], []
        for _ in range(count):
            with database.open_session(engine) as session:
                organization_id = session.exec(select(Organization.id)).one()
                began = time.perf_counter()
                found.append(attempt(session, organization_id, rng))
                took.append(time.perf_counter() - began)
                session.rollback()
        table.add_row(
            name,
            f"{median(took):.2f} s",
            f"{max(took):.2f} s",
            *(
                f"{sum(repair.kpis[figure] for repair in found) / count:.1f}"
                for figure in ("moved", "unassigned", "promises_broken")
            ),
        )
        say(f"{name}: {count} repairs")
    return table


def _absent(session: Session, settings: Settings, id_: str, now: datetime, rng: random.Random) -> Repair:
    busy = select(Appointment.technician_no).where(col(Appointment.scheduled_start) > now).distinct()
    numbers = sorted(no for no in session.exec(busy) if no is not None)
    technician = session.exec(select(Technician).where(Technician.no == rng.choice(numbers))).one()
    return repairing.report_absent(session, settings, id_, technician, BY, now, dry_run=True)


def _overrun(session: Session, settings: Settings, id_: str, now: datetime, rng: random.Random) -> Repair:
    running = select(Appointment).where(
        col(Appointment.scheduled_start) <= now, col(Appointment.scheduled_end) > now
    )
    visit = rng.choice(sorted(session.exec(running).all(), key=lambda visit: visit.id))
    return repairing.report_overrun(session, settings, visit, BY, now, by_s=5_400, dry_run=True)


def _emergency(session: Session, settings: Settings, id_: str, now: datetime, rng: random.Random) -> Repair:
    left = select(Appointment).where(Appointment.status == Status.UNASSIGNED)
    visits = sorted(session.exec(left).all(), key=lambda visit: visit.id)
    visit = rng.choice(visits)
    request = session.get_one(ServiceRequest, visit.service_request_id)
    request.priority, request.due = repairing.URGENT[-1], None
    session.flush()
    return repairing.place_emergency(session, settings, visit, BY, now, dry_run=True)


@click.command()
@click.option("--technicians", type=click.IntRange(1), default=100, show_default=True)
@click.option("--visits", type=click.IntRange(1), default=800, show_default=True)
@click.option("--plan", "plan_s", type=float, default=10.0, show_default=True, help="Seconds of planning.")
@click.option(
    "--repairs", "count", type=click.IntRange(1), default=10, show_default=True, help="Of each kind."
)
def main(technicians: int, visits: int, plan_s: float, count: int) -> None:
    """Builds the day in a database of its own and prints how long repairs of it take."""
    optimizer.warm()
    console = Console()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DISPATCH_DATA_DIR"] = directory
        url = f"sqlite:///{Path(directory) / 'repairs.sqlite3'}"
        settings = load_settings().model_copy(update={"database_url": url})
        tomorrow = datetime.now(ZoneInfo("America/New_York")).date() + timedelta(days=1)
        build(url, Size(technicians, visits, 1, plan_s), tomorrow, console.print)
        engine = database.open_engine(url)
        with database.open_session(engine, read_only=True) as session:
            zone = ZoneInfo(session.exec(select(Territory.time_zone)).one())
        at = datetime(tomorrow.year, tomorrow.month, tomorrow.day, 11, tzinfo=zone)
        console.print(measure(engine, settings, at, count, console.print))
        engine.dispose()


if __name__ == "__main__":
    main()
