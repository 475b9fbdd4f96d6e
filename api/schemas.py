"""The words that every resource's models share: strict bodies, text, instants, dates, money, places, ids.

`Body` for what is sent, `Query` for the query string, `Path` for what stands in the path, `Answer` for what
is rendered. A model's class name is its name in the OpenAPI document: no two may share one."""

import re
import unicodedata
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from api.bodies import JsonBody
from dispatch.errors import NotFound
from dispatch.ids import is_id
from dispatch.instants import instant_told

EARLIEST_YEAR, LATEST_YEAR = 1970, 2199
MAX_AMOUNT = 10**9
EXAMPLE_ID = "01932f6e-7a3b-7cc1-9d3e-5f2a8c4b6e10"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            raise ValueError("must be RFC 3339 with an offset, such as 2027-03-09T14:00:00-04:00")
        value = datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("must be RFC 3339 with an offset, such as 2027-03-09T14:00:00-04:00")
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise ValueError(f"must lie between the years {EARLIEST_YEAR} and {LATEST_YEAR}")
    return value.astimezone(UTC)


def rendered(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`."""
    return instant_told(instant)


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date such as 2027-03-09")
    day = date.fromisoformat(value)
    if not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        raise ValueError(f"must lie between the years {EARLIEST_YEAR} and {LATEST_YEAR}")
    return day


def _visible(text: str) -> str:
    if not any(unicodedata.category(character)[0] not in "ZC" for character in text):
        raise ValueError("must not be blank")
    return text


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    PlainSerializer(rendered, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2027-03-09T18:00:00Z"]}),
]
"""An instant: any offset in, UTC with `Z` out; a naive one is refused."""

Day = Annotated[
    date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2027-03-09"]}),
]
"""A calendar date, to be read in the zone that the field's documentation names."""

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_visible)
]
"""A name: something visible, up to 200 characters."""

Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000), AfterValidator(_visible)
]
"""What somebody says: something visible, up to 2000 characters."""

Note = Annotated[str, StringConstraints(max_length=4_000)]
"""Free text, which may be empty."""

Token = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
"""Something opaque that we gave out."""

Reference = Annotated[str, StringConstraints(min_length=1, max_length=100)]
"""An id in a body or a query; the verb says `unknown_reference` where it means nothing to the caller."""


def _id(value: str) -> str:
    if not is_id(value):
        raise ValueError("is no id")
    return value


Id = Annotated[
    str,
    AfterValidator(_id),
    WithJsonSchema({"type": "string", "format": "uuid", "examples": [EXAMPLE_ID]}),
]
"""An id in a path. One without the form of an id is the same 404 as one that is not there."""


def _own_or_id(value: str) -> str:
    return value if value == "me" else _id(value)


OwnId = Annotated[str, AfterValidator(_own_or_id), WithJsonSchema({"type": "string", "examples": ["me"]})]
"""A technician's id in a path, or `me` for the caller's own."""

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]
Metres = Annotated[int, Field(ge=0, le=40_100_000)]


class Body(BaseModel):
    """What is sent as JSON: no unknown field, no type but the right one. Names keep their surrounding
    case."""

    model_config = ConfigDict(strict=True, extra="forbid")

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Also from a `JsonBody`, in JSON mode: Python's strict mode would refuse dates that are strings."""
        if not isinstance(obj, JsonBody):
            return super().model_validate(obj, **options)
        optional = not any(field.is_required() for field in cls.model_fields.values())
        return cls.model_validate_json(obj.text(optional=optional), **options)

    def changes(self) -> dict[str, Any]:
        """The fields that were sent, for a PATCH: what is absent stays, null clears."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def example(members: dict[str, Any]) -> ConfigDict:
    """For a body's `model_config`: one that is accepted, as the documentation shows it."""
    return ConfigDict(json_schema_extra={"examples": [members]})


class NoBody(Body):
    """The body of an action that takes none: nothing, or `{}`."""


class _FromStrings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Kept once built: flask-openapi asks for it on every request."""
        return super().model_json_schema(*args, **options) if args or options else dict(_kept_schema(cls))


@cache
def _kept_schema(model: type[_FromStrings]) -> dict[str, Any]:
    return super(_FromStrings, model).model_json_schema()


class Query(_FromStrings):
    """The query string: text that is read as the field's type. An unknown parameter is refused."""


class Path(_FromStrings):
    """What stands in the path. Refused is: not found."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Raises `NotFound` where a part has not the form of what could be there."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise NotFound from error


def absent(value: Any) -> bool:
    """For `Field(None, exclude_if=absent)`: an optional member that is left out rather than null."""
    return value is None


class Answer(BaseModel):
    """What is rendered, built from rows: `TerritoryOut.model_validate(row)`."""

    model_config = ConfigDict(from_attributes=True)


class Money(Body):
    """An amount in the currency's minor units: 4500 USD are 45 dollars."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        from_attributes=True,
        json_schema_extra={"examples": [{"amount": 4500, "currency": "USD"}]},
    )

    amount: int = Field(ge=0, le=MAX_AMOUNT)
    currency: str = Field(pattern="^[A-Z]{3}$")


class Change(Answer):
    """A difference of money in the currency's minor units, negative where it is less."""

    amount: int
    currency: str


class Place(Body):
    """Where: WGS 84 degrees, with or without an address, or an address alone, which is looked up."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        from_attributes=True,
        json_schema_extra={
            "examples": [{"lat": 40.7486, "lon": -73.9791, "address": "350 5th Ave, New York"}]
        },
    )

    lat: Latitude | None = None
    lon: Longitude | None = None
    address: Name | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon come together")
        if self.lat is None and self.address is None:
            raise ValueError("needs lat and lon, or an address")
        return self


class PlaceOut(Answer):
    """Where: WGS 84 degrees."""

    lat: float
    lon: float
    address: str | None = Field(None, exclude_if=absent)


class Window(Answer):
    """From `start` to `end`."""

    start: Instant
    end: Instant


class ReasonOut(Answer):
    """Why not. technicians: whom it concerns; by: how far off, in the unit that `detail` names."""

    code: str
    detail: str
    technicians: list[str] | None = Field(None, exclude_if=absent)
    appointment_id: str | None = Field(None, exclude_if=absent)
    by: int | None = Field(None, exclude_if=absent)
