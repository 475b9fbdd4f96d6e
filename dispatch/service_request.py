"""A service request: what a customer needs, where and by when. It is born with one appointment."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from dispatch.columns import enum_type
from dispatch.ids import new_id

LONGEST_NOTES = 4_000


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        """0 to 3: how many times over a visit left out is dearer."""
        return list(Priority).index(self)


class Source(StrEnum):
    WEB = "web"
    API = "api"
    PHONE = "phone"
    CHAT = "chat"
    DEVICE = "device"


class ServiceRequest(SQLModel, table=True):
    """earliest_start and due bound when work may start (UTC). external_id: the id of whoever sent it, unique within
    the organization. follow_up_of: the request whose visit its technician wants followed by this one."""

    __tablename__ = "service_request"
    __table_args__ = (UniqueConstraint("organization_id", "external_id"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    territory_id: str = Field(foreign_key="territory.id", index=True, max_length=36)
    service_id: str = Field(foreign_key="service.id", index=True, max_length=36)
    customer_id: str = Field(foreign_key="customer.id", index=True, max_length=36)
    lat: float
    lon: float
    address: str | None = Field(default=None, max_length=500)
    notes: str | None = Field(default=None, max_length=LONGEST_NOTES)
    priority: Priority = Field(default=Priority.NORMAL, sa_type=enum_type(Priority))
    earliest_start: datetime | None = None
    due: datetime | None = None
    preferred_technician_no: int | None = Field(default=None, foreign_key="technician.no")
    source: Source = Field(default=Source.API, sa_type=enum_type(Source))
    external_id: str | None = Field(default=None, max_length=200)
    follow_up_of: str | None = Field(
        default=None, foreign_key="service_request.id", index=True, max_length=36
    )
    cancelled_at: datetime | None = None
    created_at: datetime = Field(index=True)
    version: int = 1
