"""What a customer and the dispatchers write to each other about one visit: a plain thread, read while the link or the
visit can be, written to while there is something left to settle."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.appointment import Appointment, Status
from dispatch.columns import enum_type
from dispatch.events import Actor, record
from dispatch.ids import new_id

LONGEST_TEXT = 2_000
SPOKEN_ABOUT = tuple(status for status in Status if status not in (Status.COMPLETED, Status.CANCELLED))
"""What could not be completed too: a new time has to be found. Of what is done the rating speaks."""


class Sender(StrEnum):
    CUSTOMER = "customer"
    DISPATCHER = "dispatcher"


class Message(SQLModel, table=True):
    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str = Field(foreign_key="appointment.id", index=True, max_length=36)
    at: datetime
    sender: Sender = Field(sa_type=enum_type(Sender))
    text: str = Field(max_length=LONGEST_TEXT)


def can_be_spoken_about(appointment: Appointment) -> bool:
    return appointment.status in SPOKEN_ABOUT


def say(
    session: Session, appointment: Appointment, sender: Sender, text: str, by: Actor, now: datetime
) -> Message:
    """Adds to the thread of a visit. Its event names the message and not its words; the visit itself is as it was, so
    that nobody's If-Match fails over a chat. Raises `InvalidState` for a visit that is done or cancelled."""
    appointment.require(*SPOKEN_ABOUT)
    message = Message(
        organization_id=appointment.organization_id,
        appointment_id=appointment.id,
        at=now,
        sender=sender,
        text=text,
    )
    session.add(message)
    about = {"appointment_id": appointment.id}
    record(session, appointment.organization_id, message.id, "message.sent", now, by, after=about)
    session.flush()
    return message


def thread(appointment: Appointment) -> SelectOfScalar[Message]:
    """All messages about a visit, to be put into order by whoever asks."""
    return select(Message).where(Message.appointment_id == appointment.id)


def latest_messages(session: Session, appointment: Appointment, most: int) -> list[Message]:
    """The newest of them, in order of time."""
    newest = thread(appointment).order_by(col(Message.at).desc(), col(Message.id).desc()).limit(most)
    return list(session.exec(newest))[::-1]
