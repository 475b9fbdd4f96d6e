"""The ledger of promises: what became of every arrival window."""

from typing import Self

from flask import Response
from sqlmodel import col

from api import context
from api.auth import allow
from api.openapi import resource
from api.pagination import DatedPageQuery, Page, page_of, paginate
from api.render import answer
from api.schemas import Answer, Instant, Reference, Window
from dispatch.access import own_organization
from dispatch.promise import LedgerWish, Promise, PromiseKind, lines_like

promises = resource("promises", "What became of every arrival window that customers were given.")


class PromiseOut(Answer):
    """A line of the ledger. kind: `given` and `changed` begin a promise; `kept`, `broken` or `withdrawn` ends it, or
    another change. at: when that was so. by: the role of whoever did it, `system` for a window that passed with nobody
    there."""

    id: str
    appointment_id: str
    kind: PromiseKind
    arrival_window: Window
    at: Instant
    by: str

    @classmethod
    def of(cls, row: Promise) -> Self:
        """Built from its row."""
        window = Window(start=row.window_start, end=row.window_end)
        return cls.model_validate(row.model_dump() | {"arrival_window": window})


class PromisePage(Page[PromiseOut]):
    """One page of the ledger, the newest lines first."""


class PromiseQuery(DatedPageQuery):
    """`from` and `to`: local dates of the territory, both included, on which the window begins."""

    kind: PromiseKind | None = None
    appointment_id: Reference | None = None
    territory_id: Reference | None = None


@promises.get("/promises", summary="Read the ledger of promises", responses={200: PromisePage})
@allow("dispatcher")
def read_all(query: PromiseQuery) -> Response:
    """The newest lines first; they are never changed."""
    session = context.session()
    organization = own_organization(session, context.principal())
    wish = LedgerWish(query.kind, query.appointment_id, query.territory_id, query.from_, query.to)
    wanted = lines_like(session, organization.id, wish)
    by = [col(Promise.at), col(Promise.id)]
    rows, cursor = paginate(session, wanted, query, by=by, newest_first=True)
    return answer(page_of(PromisePage, [PromiseOut.of(row) for row in rows], cursor))
