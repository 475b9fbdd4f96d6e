"""Where a technician was, told by its phone while on duty."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from dispatch.ids import new_id


class Position(SQLModel, table=True):
    """recorded_at: by the phone's clock; received_at: by ours, which decides."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no", index=True)
    lat: float
    lon: float
    accuracy_m: float | None = None
    recorded_at: datetime
    received_at: datetime = Field(index=True)
