"""What a customer said after the visit, once."""

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Field, Session, SQLModel, select

from dispatch.appointment import Appointment

LEAST_RATED = 5
"""So many visits must be rated before their average says something, and nothing of any one of them."""


class Feedback(SQLModel, table=True):
    """csat: 1 to 5, satisfaction; ces: 1 to 7, ease; nps: 0 to 10, would recommend."""

    appointment_id: str = Field(foreign_key="appointment.id", primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    csat: int
    ces: int | None = None
    nps: int | None = None
    comment: str | None = Field(default=None, max_length=4000)
    created_at: datetime


def rating_of(session: Session, organization_id: str, technician_no: int) -> float | None:
    """How satisfied the organization's customers were with the technician's visits: the average `csat`, to one decimal;
    None as long as fewer than `LEAST_RATED` were rated."""
    query = select(func.count(), func.sum(Feedback.csat)).where(
        Feedback.organization_id == organization_id,
        Feedback.appointment_id == Appointment.id,
        Appointment.technician_no == technician_no,
    )
    count, total = session.exec(query).one()
    return round(int(total) / count, 1) if count >= LEAST_RATED else None
