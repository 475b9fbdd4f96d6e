"""Where a technician was, told by its phone while on duty."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Index
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.ids import new_id

FRESH_POSITION = timedelta(minutes=15)
"""An older position says nothing about where the technician is now."""


class Position(SQLModel, table=True):
    """recorded_at: by the phone's clock; received_at: by ours, which decides."""

    __table_args__ = (Index("ix_position_technician_no_recorded_at", "technician_no", "recorded_at"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no")
    lat: float
    lon: float
    accuracy_m: float | None = None
    recorded_at: datetime
    received_at: datetime = Field(index=True)


def fresh_positions(session: Session, technician_nos: Collection[int], now: datetime) -> dict[int, Position]:
    """By technician number, the latest position of each that is not too old to say where it is."""
    query = select(Position).where(
        col(Position.technician_no).in_(technician_nos), col(Position.recorded_at) >= now - FRESH_POSITION
    )
    return {found.technician_no: found for found in session.exec(query.order_by(col(Position.recorded_at)))}
