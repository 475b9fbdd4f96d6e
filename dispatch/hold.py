"""A hold: a window kept for one request for some minutes, on the calendar of the technician who could keep it."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from dispatch.ids import new_id


class Hold(SQLModel, table=True):
    """released_at: when it was given back, used by a booking or found expired."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    service_request_id: str = Field(foreign_key="service_request.id", index=True, max_length=36)
    window_start: datetime
    window_end: datetime
    expires_at: datetime = Field(index=True)
    released_at: datetime | None = None
    created_at: datetime
