"""The audit: who did what, when and why, and who read where technicians were."""

from typing import Any, Literal, Self

from flask import Response
from pydantic import Field
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from api import context
from api.auth import allow
from api.decisions import MyDecisionsPath
from api.openapi import resource
from api.pagination import DatedPageQuery, Page, PageQuery, page_of, paginate, paginate_together
from api.render import answer
from api.schemas import Answer, Instant, Reference
from dispatch.access import own_organization, working_technician
from dispatch.audit import AuditWish, Entry, entries, events_like, reads_like, reads_of
from dispatch.events import Event
from dispatch.location_read import LocationRead
from dispatch.organization import Organization

audit = resource("audit", "Who did what, when and why, and who read where technicians were.")

Caller = Literal["dispatcher", "integration", "technician", "customer", "public", "system", "operator"]


class Doer(Answer):
    """Who did it. role: `public` is whoever has a link; `system` what runs by itself; `operator` whoever runs the
    installation, on its command line. id: of the key, or of the technician. name: the technician's, or the beginning of
    the key."""

    role: str
    id: str | None
    name: str | None


class AuditEntry(Answer):
    """One line. type: dotted, such as `appointment.cancelled`, `key.revoked`, `technician.suspended`. subject_id: what
    changed. `location.read` says that `by` was shown where the technician `subject_id` was: `after` tells on the way to
    which visit and how often (`reads`) from `first_at` to `at`; a page or stream that is open makes one line in five
    minutes."""

    id: str
    at: Instant
    type: str
    subject_id: str
    by: Doer
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """With whoever did it."""
        return cls(
            id=entry.id,
            at=entry.at,
            type=entry.type,
            subject_id=entry.subject_id,
            by=Doer(role=entry.by.role, id=entry.by.id, name=entry.name),
            reason=entry.reason,
            before=entry.before,
            after=entry.after,
        )


class AuditPage(Page[AuditEntry]):
    """One page of the audit, the newest first."""


class AuditQuery(DatedPageQuery):
    """subject_id: what changed, or whose position was read. appointment_id: all about a visit, its request, messages
    and reviews too. technician_id: done to the technician or by it, and read of its position. `by` and `by_id`: who did
    it. `from` and `to`: local dates of the organization, both included."""

    subject_id: Reference | None = None
    appointment_id: Reference | None = None
    technician_id: Reference | None = None
    type: str | None = Field(None, max_length=64)
    by: Caller | None = None
    by_id: Reference | None = None


class LocationReadOut(Answer):
    """Somebody was shown where you were. role: `public` is whoever has the customer's link; your own role: you took
    your data away. reads: how often, from first_at to at."""

    id: str
    at: Instant
    first_at: Instant
    reads: int
    role: str
    organization: str | None
    appointment_id: str | None

    @classmethod
    def of(cls, row: LocationRead, organizations: dict[str, str]) -> Self:
        """organizations: slugs by id."""
        organization = organizations.get(row.organization_id or "")
        return cls.model_validate(row.model_dump() | {"role": row.by, "organization": organization})


class LocationReadPage(Page[LocationReadOut]):
    """One page of readings, the newest first."""


@audit.get("/audit", summary="Read who did what and why", responses={200: AuditPage})
@allow("dispatcher")
def read_all(query: AuditQuery) -> Response:
    """Every change of state and every reading of a technician's position, the newest first; none is ever changed."""
    session = context.session()
    organization = own_organization(session, context.principal())
    wish = AuditWish(
        subject_id=query.subject_id,
        appointment_id=query.appointment_id,
        technician_id=query.technician_id,
        type=query.type,
        by=query.by,
        by_id=query.by_id,
        from_=query.from_,
        to=query.to,
    )
    events, reads = events_like(session, organization, wish), reads_like(session, organization, wish)
    wanted: list[tuple[SelectOfScalar[Any], list[Any]]] = []
    if events is not None:
        wanted.append((events, [col(Event.at), col(Event.id)]))
    if reads is not None:
        wanted.append((reads, [col(LocationRead.at), col(LocationRead.id)]))
    rows, cursor = paginate_together(session, wanted, query)
    return answer(page_of(AuditPage, [AuditEntry.of(entry) for entry in entries(session, rows)], cursor))


@audit.get(
    "/technicians/<technician_id>/location-reads",
    summary="Read who saw where I was",
    responses={200: LocationReadPage},
)
@allow("technician")
def read_mine(path: MyDecisionsPath, query: PageQuery) -> Response:
    """For whichever organization, the newest first; while suspended too."""
    session = context.session()
    technician = working_technician(session, context.principal(), path.technician_id, or_suspended=True)
    by = [col(LocationRead.at), col(LocationRead.id)]
    rows, cursor = paginate(session, reads_of(technician), query, by=by, newest_first=True)
    named = {row.organization_id for row in rows if row.organization_id is not None}
    slugs = dict(
        session.exec(select(Organization.id, Organization.slug).where(col(Organization.id).in_(named))).all()
    )
    return answer(page_of(LocationReadPage, [LocationReadOut.of(row, slugs) for row in rows], cursor))
