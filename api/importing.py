"""Reading rows of an import: CSV or JSON lines, each row by itself."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pydantic import ValidationError

from api.bodies import parse_json, refusal_of
from api.problems import invalid
from api.schemas import Place
from dispatch.errors import BadRequest, DispatchError, Invalid, UnsupportedMediaType
from dispatch.intake import NewRequest, Row, Unreadable
from dispatch.places import Place as Somewhere

MAX_BYTES = 8 << 20
MAX_ROWS = 5_000
CSV = frozenset({"text/csv", "application/csv"})
JSON_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
CUSTOMER = {f"customer_{name}": name for name in ("name", "phone", "email", "preferred_channel", "language")}
DEGREES = ("lat", "lon")
PLACE = (*DEGREES, "address")
PLAIN = (
    "service_id",
    "notes",
    "priority",
    "earliest_start",
    "due",
    "preferred_technician_id",
    "source",
    "external_id",
)
COLUMNS = frozenset({*PLAIN, *CUSTOMER, *PLACE})


class Work(Protocol):
    """What a row says, once its model has accepted it."""

    @property
    def place(self) -> Place: ...

    def at(self, place: Somewhere) -> NewRequest: ...


Numbered = tuple[int, str | DispatchError]
"""A line's number and its JSON, or why it cannot be read."""


def read_rows(raw: bytes, media_type: str, read: Callable[[str], Work]) -> list[Row | Unreadable]:
    """The rows as `read` accepts them from JSON. Raises `UnsupportedMediaType`; `BadRequest` for what is not UTF-8;
    `Invalid` for unknown columns and for more than 5,000 rows."""
    if media_type in CSV:
        lines = list(_csv_lines(raw))
    elif media_type in JSON_LINES:
        lines = list(_json_lines(raw))
    else:
        raise UnsupportedMediaType(detail="Send `Content-Type: text/csv` or `application/x-ndjson`.")
    if len(lines) > MAX_ROWS:
        raise Invalid(errors=[("rows", f"one import takes {MAX_ROWS} rows at most")])
    return [_row(number, line, read) for number, line in lines]


def _row(number: int, line: str | DispatchError, read: Callable[[str], Work]) -> Row | Unreadable:
    if isinstance(line, DispatchError):
        return Unreadable(number, line)
    try:
        work = read(line)
    except ValidationError as error:
        return Unreadable(number, invalid(error))
    return Row(number, work.place, work.at)


def _json_lines(raw: bytes) -> Iterator[Numbered]:
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, parse_json(line)[0]
        except DispatchError as refusal:
            yield number, refusal


def _csv_lines(raw: bytes) -> Iterator[Numbered]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(detail=f"The file is not UTF-8: {error}.") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    unknown = sorted(set(header) - COLUMNS)
    if unknown or len(set(header)) < len(header):
        said = "is not a column here" if unknown else "a column occurs twice"
        raise Invalid(errors=[(name, said) for name in unknown or ["header"]])
    begins = reader.line_num + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, Invalid(errors=[("row", str(error))])
        else:
            if any(cell.strip() for cell in cells):
                yield begins, _csv_json(header, cells)
        begins = reader.line_num + 1


def _csv_json(header: list[str], cells: list[str]) -> str | DispatchError:
    if len(cells) > len(header):
        return Invalid(errors=[("row", "has more cells than the header has columns")])
    given = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    refused = [(name, message) for name, cell in given.items() if (message := refusal_of(cell))]
    if refused:
        return Invalid(errors=refused)
    work: dict[str, Any] = {name: given[name] for name in PLAIN if name in given}
    work["customer"] = {member: given[name] for name, member in CUSTOMER.items() if name in given}
    work["place"] = {name: given[name] for name in PLACE if name in given}
    for name in DEGREES:
        if name in given:
            work["place"][name] = _number(given[name])
    return json.dumps(work)


def _number(text: str) -> float | str:
    """What is no number stays text, which the model refuses by name."""
    try:
        return float(text)
    except ValueError:
        return text
