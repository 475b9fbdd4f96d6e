"""Calls to New York's 311 line: a reader for a file of one day, and the same rows fetched from NYC Open Data.

The file is CSV in UTF-8 with the columns `COLUMNS`, a record a line. Times are the wall clock of New York,
without an offset. Every line is judged for itself: what is wrong with it is said with its number, and the
others are loaded.

Source: NYC Open Data, "311 Service Requests from 2010 to Present", dataset erm2-nwe9.
"""

import csv
import io
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http.client import HTTPException
from typing import Any

from seed.calls import NEW_YORK, Call, in_new_york, times_allowed
from seed.errors import FetchFailed, UnreadableFile
from seed.trades import COMPLAINT_TYPES, UnknownComplaint, service_for

COLUMNS = (
    "request_id",
    "created_at",
    "closed_at",
    "complaint_type",
    "descriptor",
    "location_type",
    "address",
    "city",
    "borough",
    "zip",
    "lat",
    "lon",
    "no_access",
)

SOUTH, NORTH, WEST, EAST = 40.495992, 40.915568, -74.257159, -73.699215
"""New York City's bounding box in degrees (metadata of the borough boundaries, Department of City
Planning)."""

DATASET_URL = "https://data.cityofnewyork.us/resource/erm2-nwe9.json"

PAGE_ROWS = 5_000
MAX_PAGES = 40
"""The largest day so far had some 20,000 calls of all kinds."""

LONGEST_FIELD = 500

_API_FIELDS = {
    "request_id": "unique_key",
    "created_at": "created_date",
    "closed_at": "closed_date",
    "complaint_type": "complaint_type",
    "descriptor": "descriptor",
    "location_type": "location_type",
    "address": "incident_address",
    "city": "city",
    "borough": "borough",
    "zip": "incident_zip",
    "lat": "latitude",
    "lon": "longitude",
}

_CLOSED_DOOR = re.compile(
    r"\b(not able|unable|could not|cannot|failed)( to)?( gain)? access\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not loaded. line: its number in the file, the header being 1; of a fetched day, its
    place."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file or a fetched day held, in its own order. lines: the number of each call's line, by its
    id."""

    calls: tuple[Call, ...]
    refused: tuple[Refused, ...]
    lines: Mapping[str, int]


class BadRow(ValueError):
    """Says what is wrong with a row."""


def line_fields(raw: bytes) -> list[str]:
    """The fields of one line of CSV. Raises `BadRow` if it is not CSV in UTF-8."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow(f"is not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start})") from error
    if "\0" in text:
        raise BadRow("contains a NUL character")
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise BadRow(f"is not a line of CSV: {error}") from error


def _instant(text: str, field: str, moved_to: date | None) -> datetime:
    """The wall clock of New York in `text` as a UTC instant, on the day `moved_to` if that is given."""
    try:
        wall = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRow(f"{field} {text!r} is not a date and time") from error
    if wall.tzinfo is not None:
        raise BadRow(f"{field} {text!r} carries an offset; New York's wall clock is expected")
    if not 2000 <= wall.year <= 2100:
        raise BadRow(f"{field} {text!r} lies outside the years 2000 to 2100")
    return in_new_york(moved_to or wall.date(), wall.time())


def _coordinate(row: Mapping[str, str], field: str, low: float, high: float) -> float:
    text = row[field].strip()
    if not text:
        raise BadRow(f"{field} is missing")
    try:
        degrees = float(text)
    except ValueError as error:
        raise BadRow(f"{field} {text!r} is not a number") from error
    if not low <= degrees <= high:
        raise BadRow(f"{field} {text} lies outside New York City ({low} to {high})")
    return degrees


def _address(row: Mapping[str, str]) -> str:
    """In words; many calls about streets have no house number."""
    parts = [row[field].strip() for field in ("address", "city")]
    return " ".join([*(f"{part.title()}," for part in parts if part), "NY", row["zip"].strip()]).strip()


def _call(row: Mapping[str, str], moved_to: date | None) -> Call:
    for field, text in row.items():
        if len(text) > LONGEST_FIELD:
            raise BadRow(f"{field} is longer than {LONGEST_FIELD} characters")
    number = row["request_id"].strip()
    if not re.fullmatch(r"[0-9]{1,20}", number):
        raise BadRow(f"request_id {number!r} is not a number")
    called_at = _instant(row["created_at"].strip(), "created_at", moved_to)
    if closed := row["closed_at"].strip():
        _instant(closed, "closed_at", None)
    try:
        service = service_for(row["complaint_type"], row["descriptor"])
    except UnknownComplaint as error:
        raise BadRow(str(error)) from error
    if row["no_access"].strip() not in ("0", "1"):
        raise BadRow(f"no_access {row['no_access']!r} is neither 0 nor 1")
    earliest_start, due = times_allowed(called_at, service.priority)
    return Call(
        id=number,
        called_at=called_at,
        earliest_start=earliest_start,
        due=due,
        service=service,
        lat=_coordinate(row, "lat", SOUTH, NORTH),
        lon=_coordinate(row, "lon", WEST, EAST),
        address=_address(row),
        zip_code=row["zip"].strip(),
        borough=row["borough"].strip().title(),
        customer_name="311 caller",
        customer_phone=None,
        closed_door=row["no_access"].strip() == "1",
    )


def _load(rows: Iterable[tuple[int, Mapping[str, str] | BadRow]], moved_to: date | None) -> Loaded:
    """Judge row by row; of rows with one request_id, the first counts."""
    calls: list[Call] = []
    refused: list[Refused] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            call = _call(row, moved_to)
            if call.id in first_line:
                raise BadRow(f"request_id {call.id} was already given in line {first_line[call.id]}")
        except BadRow as error:
            refused.append(Refused(line, str(error)))
            continue
        first_line[call.id] = line
        calls.append(call)
    return Loaded(tuple(calls), tuple(refused), first_line)


def _rows(
    lines: Iterator[tuple[int, bytes]], header: list[str]
) -> Iterator[tuple[int, dict[str, str] | BadRow]]:
    for number, raw in lines:
        if not raw.strip():
            continue
        try:
            fields = line_fields(raw)
            if len(fields) != len(header):
                raise BadRow(f"has {len(fields)} columns instead of {len(header)}")
        except BadRow as error:
            yield number, error
        else:
            yield number, dict(zip(header, fields, strict=True))


def read_file(content: bytes, *, moved_to: date | None) -> Loaded:
    """The calls in a file's bytes.

    moved_to: the day in New York on which every call is put, its hour on the wall clock kept; None leaves the
    dates as they are. Raises `UnreadableFile` if the first line is not the header of this format.
    """
    lines = enumerate(io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")), start=1)
    first = next(lines, (1, b""))[1].rstrip(b"\r\n")
    try:
        header = line_fields(first)
    except BadRow as error:
        raise UnreadableFile(f"the first line {error}") from error
    if sorted(header) != sorted(COLUMNS):
        raise UnreadableFile(f"the first line must name these columns: {', '.join(COLUMNS)}")
    return _load(_rows(lines, header), moved_to)


def _page(url: str, query: Mapping[str, str], timeout_s: float) -> list[dict[str, Any]]:
    """One page of the dataset's rows. Raises `FetchFailed`."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise FetchFailed(f"{url} is not an http address")
    request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
        f"{url}?{urllib.parse.urlencode(query)}", headers={"Accept": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            page = json.load(answer)
    except urllib.error.HTTPError as error:
        raise FetchFailed(f"NYC Open Data answered {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchFailed(f"NYC Open Data cannot be reached ({reason}); is there a network?") from error
    except ValueError as error:
        raise FetchFailed("NYC Open Data answered with something that is not JSON") from error
    if not isinstance(page, list) or not all(isinstance(row, dict) for row in page):
        raise FetchFailed("NYC Open Data answered with something that is not a list of rows")
    return page


def _pages(day: date, url: str, page_rows: int, timeout_s: float) -> Iterator[dict[str, Any]]:
    kinds = ", ".join(f"'{kind}'" for kind in COMPLAINT_TYPES)
    query = {
        "$select": ",".join((*_API_FIELDS.values(), "resolution_description")),
        "$where": f"created_date >= '{day}T00:00:00' AND created_date < '{day + timedelta(days=1)}T00:00:00'"
        f" AND latitude IS NOT NULL AND upper(complaint_type) IN ({kinds})",
        "$order": "unique_key",
        "$limit": str(page_rows),
    }
    for number in range(MAX_PAGES):
        page = _page(url, {**query, "$offset": str(number * page_rows)}, timeout_s)
        yield from page
        if len(page) < page_rows:
            return
    raise FetchFailed(f"NYC Open Data still had rows after {MAX_PAGES} pages of {page_rows}")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _as_row(record: Mapping[str, Any]) -> dict[str, str]:
    row = {column: _text(record.get(name)) for column, name in _API_FIELDS.items()}
    closed_door = _CLOSED_DOOR.search(_text(record.get("resolution_description")))
    return {**row, "no_access": "1" if closed_door else "0"}


def fetch_day(
    day: date,
    *,
    moved_to: date | None,
    url: str = DATASET_URL,
    page_rows: int = PAGE_ROWS,
    timeout_s: float = 30.0,
) -> Loaded:
    """One day's field-service calls from NYC Open Data, judged and moved as `read_file` does it.

    page_rows: how many are asked for at a time. timeout_s: for each answer. A closed door is read from the
    city's words on how the call ended. Raises `FetchFailed` where there is no network or no sensible answer.
    """
    records = _pages(day, url, page_rows, timeout_s)
    return _load(((number, _as_row(record)) for number, record in enumerate(records, start=1)), moved_to)


def tomorrow(now: datetime) -> date:
    """The day after `now`, an aware instant, on New York's calendar."""
    return now.astimezone(NEW_YORK).date() + timedelta(days=1)
