"""A program that tests kill: `python -m tests.support.sender` sends what is due for ever, by a clock that starts at
`--at`; with `--book`, it makes a promise, says so, and never comes to its commit. Settings are the environment's."""

import argparse
import time
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from dispatch import booking, notifying
from dispatch.appointment import Appointment
from dispatch.channels import open_channel
from dispatch.database import open_engine
from dispatch.events import SYSTEM, record
from dispatch.planning import Window
from dispatch.promise import PromiseKind
from dispatch.settings import Settings, load_settings

POLL_S = 0.02


def promise(session: Session, settings: Settings, appointment_id: str, window: Window, now: datetime) -> None:
    """As a booking does, of a visit for which nobody is planned."""
    appointment = session.get_one(Appointment, appointment_id)
    booking.promise(session, settings, appointment, window, PromiseKind.GIVEN, SYSTEM, now)
    record(session, appointment.organization_id, appointment.id, "appointment.booked", now, SYSTEM)
    session.add(appointment)
    session.flush()


def send(engine: Engine, settings: Settings, at: datetime) -> None:
    channel, began = open_channel(settings), time.monotonic()
    while True:
        notifying.send_due(
            engine, settings, channel, lambda: at + timedelta(seconds=time.monotonic() - began)
        )
        time.sleep(POLL_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=datetime.fromisoformat, required=True)
    parser.add_argument("--book")
    asked = parser.parse_args()
    settings = load_settings()
    engine = open_engine(settings.database_url)
    if asked.book is None:
        send(engine, settings, asked.at)
    with Session(engine) as session:
        tomorrow = asked.at + timedelta(days=1)
        promise(session, settings, asked.book, (tomorrow, tomorrow + timedelta(hours=2)), asked.at)
        print("promised", flush=True)  # noqa: T201
        time.sleep(600)


if __name__ == "__main__":
    main()
