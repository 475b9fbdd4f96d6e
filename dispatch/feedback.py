"""What a customer said after the visit, once."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class Feedback(SQLModel, table=True):
    """csat: 1 to 5, satisfaction; ces: 1 to 7, ease; nps: 0 to 10, would recommend."""

    appointment_id: str = Field(foreign_key="appointment.id", primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    csat: int
    ces: int | None = None
    nps: int | None = None
    comment: str | None = Field(default=None, max_length=4000)
    created_at: datetime
