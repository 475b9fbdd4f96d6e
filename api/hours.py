"""Hours on the wall of a technician's time zone, as they are said."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas import Body, Day, example

WallTime = Annotated[
    str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(examples=["22:00"])
]
"""HH:MM on the wall of the technician's time zone."""


class Hours(Body):
    """From and to on the wall; a `to` that is not after `from` is the next day's."""

    model_config = ConfigDict(strict=True, extra="forbid", serialize_by_alias=True)

    from_: WallTime = Field(alias="from")
    to: WallTime


class WeekdayHours(Hours):
    """weekday: 1 is Monday, 7 Sunday."""

    weekday: Annotated[int, Field(ge=1, le=7)]


class DateHours(Body):
    """The hours of one date, instead of its weekly ones; none for a day off."""

    date: Day
    hours: Annotated[list[Hours], Field(max_length=10)]


class NewAvailability(Body):
    """Weekly hours and exceptions, in the technician's time zone. They replace what was said before."""

    model_config = example(
        {
            "weekly": [{"weekday": 5, "from": "22:00", "to": "06:00"}],
            "exceptions": [{"date": "2027-03-12", "hours": []}],
        }
    )

    weekly: Annotated[list[WeekdayHours], Field(max_length=70)]
    exceptions: Annotated[list[DateHours], Field(max_length=400)] = Field(default_factory=list)

    def said(self) -> dict[str, list[dict[str, Any]]]:
        """`weekly` and `exceptions` as they are kept."""
        return self.model_dump(mode="json", by_alias=True)
