"""Endpoints of others that want to be told what happens, and each delivery to them."""

from datetime import datetime

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from dispatch.ids import new_id


class WebhookEndpoint(SQLModel, table=True):
    """events: the types wanted, none for all. sealed_secret: the signing secret, encrypted under the server's own."""

    __tablename__ = "webhook_endpoint"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    url: str = Field(max_length=2000)
    events: list[str] = Field(default_factory=list, sa_type=JSON)
    sealed_secret: str = Field(max_length=500)
    disabled_at: datetime | None = None
    created_at: datetime


class WebhookDelivery(SQLModel, table=True):
    __tablename__ = "webhook_delivery"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    endpoint_id: str = Field(foreign_key="webhook_endpoint.id", index=True, max_length=36)
    event_id: str = Field(foreign_key="event.id", index=True, max_length=36)
    due_at: datetime = Field(index=True)
    attempts: int = 0
    response_status: int | None = None
    delivered_at: datetime | None = None
    gave_up_at: datetime | None = None
