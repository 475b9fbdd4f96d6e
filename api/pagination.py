"""Lists: `{"items": [...], "next_cursor": null}`, by keyset, so that pages neither skip nor repeat what
others insert.

A cursor is opaque, and signed for the list that it continues: another list, other filters or a changed
character are refused."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from flask import request
from itsdangerous import BadData, URLSafeSerializer
from pydantic import Field, ValidationInfo, field_validator
from sqlalchemy import Select, literal, tuple_
from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from api import context
from api.schemas import Answer, Day, Query, Token
from dispatch.errors import Invalid

DEFAULT_LIMIT, MAX_LIMIT = 50, 200

Row = TypeVar("Row")
Listed = TypeVar("Listed")
Item = TypeVar("Item", bound=Answer)
PageModel = TypeVar("PageModel", bound="Page[Any]")


class PageQuery(Query):
    """The parameters that every list takes."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many at most.")
    cursor: Token | None = Field(None, description="`next_cursor` of the page before.")


class DatedPageQuery(PageQuery):
    """A list by local dates, both included; either may be left open."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None

    @field_validator("to")
    @classmethod
    def _in_order(cls, to: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("from_")
        if to is not None and first is not None and to < first:
            raise ValueError("must not be before from")
        return to


class Page(Answer, Generic[Item]):
    """One page of a list. next_cursor: where the next begins, null on the last."""

    items: list[Item]
    next_cursor: str | None


def paginate(
    session: Session,
    statement: "SelectOfScalar[Row] | Select[tuple[Row]]",
    query: PageQuery,
    *,
    by: Sequence[Any],
    newest_first: bool = False,
) -> tuple[list[Row], str | None]:
    """The rows of this page, in the order of the columns `by` (the last of them unique), and the next
    cursor."""
    after = read_cursor(query.cursor, len(by)) if query.cursor is not None else None
    if after is not None:
        values = [literal(_read(value), column.type) for column, value in zip(by, after, strict=True)]
        place, columns = tuple_(*values), tuple_(*by)
        statement = statement.where(columns < place if newest_first else columns > place)
    order = [column.desc() if newest_first else column.asc() for column in by]
    rows = list(session.scalars(statement.order_by(*order).limit(query.limit + 1)))
    if len(rows) <= query.limit:
        return rows, None
    rows = rows[: query.limit]
    return rows, write_cursor([_written(getattr(rows[-1], column.key)) for column in by])


def paginate_together(
    session: Session, statements: Sequence[tuple[SelectOfScalar[Any], Sequence[Any]]], query: PageQuery
) -> tuple[list[Any], str | None]:
    """As `paginate`, the newest first, of several tables as one list: each statement with its columns, which have the
    same names and types in all."""
    found, more = [], False
    for statement, by in statements:
        rows, cursor = paginate(session, statement, query, by=by, newest_first=True)
        found += [(tuple(getattr(row, column.key) for column in by), row) for row in rows]
        more = more or cursor is not None
    found.sort(key=lambda placed: placed[0], reverse=True)
    page = found[: query.limit]
    more = more or len(found) > query.limit
    cursor = write_cursor([_written(value) for value in page[-1][0]]) if more and page else None
    return [row for _, row in page], cursor


def page_through(
    items: Sequence[Listed], query: PageQuery, by: Callable[[Listed], tuple[Any, ...]], parts: int
) -> tuple[list[Listed], str | None]:
    """The items of this page, and the next cursor, for a list that is whole in memory and in the order of `by`, which
    gives `parts` JSON values, unique together."""
    after = tuple(read_cursor(query.cursor, parts)) if query.cursor is not None else None
    left = [item for item in items if after is None or by(item) > after]
    page = list(left[: query.limit])
    return page, write_cursor(by(page[-1])) if len(left) > query.limit else None


def write_cursor(position: Sequence[Any]) -> str:
    """A cursor of this request's list at `position` (JSON values)."""
    written = _serializer().dumps(list(position))
    return written if isinstance(written, str) else written.decode()


def read_cursor(cursor: str, length: int) -> list[Any]:
    """The position that a cursor of this list holds. Raises `Invalid` for any other text."""
    try:
        position = _serializer().loads(cursor)
    except BadData as error:
        raise Invalid(errors=[("cursor", "is not a cursor of this list")]) from error
    # The last character of a signature has bits that decoding ignores; only the text that was given out is a cursor.
    if not isinstance(position, list) or len(position) != length or write_cursor(position) != cursor:
        raise Invalid(errors=[("cursor", "is not a cursor of this list")])
    return position


def page_of(model: type[PageModel], rows: Sequence[Any], next_cursor: str | None) -> PageModel:
    """The rows as a page; a row that is no item already is read by its attributes."""
    return model.model_validate({"items": rows, "next_cursor": next_cursor})


def _serializer() -> URLSafeSerializer:
    """Signs for this caller, this path and these filters."""
    filters = sorted(item for item in request.args.items(multi=True) if item[0] not in ("cursor", "limit"))
    listed = json.dumps([context.principal().subject, request.path, filters])
    return URLSafeSerializer(context.settings().secret.get_secret_value(), salt=f"cursor:{listed}")


def _written(value: Any) -> Any:
    return {"instant": value.isoformat()} if isinstance(value, datetime) else value


def _read(value: Any) -> Any:
    return datetime.fromisoformat(value["instant"]) if isinstance(value, dict) else value
