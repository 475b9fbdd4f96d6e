"""A customer of one organization: whom a visit is for and how to reach them."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from dispatch.columns import enum_type
from dispatch.ids import new_id


class Channel(StrEnum):
    SMS = "sms"
    EMAIL = "email"
    CHAT = "chat"
    NONE = "none"


class Customer(SQLModel, table=True):
    """phone: E.164. language: a BCP 47 tag."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    name: str = Field(max_length=200)
    phone: str | None = Field(default=None, max_length=32)
    email: str | None = Field(default=None, max_length=320)
    preferred_channel: Channel | None = Field(default=None, sa_type=enum_type(Channel), nullable=True)
    language: str | None = Field(default=None, max_length=35)
    created_at: datetime
