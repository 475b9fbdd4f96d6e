"""Service requests: what customers need, where and by when."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from flask import Response, request
from pydantic import Field, StringConstraints, field_validator
from sqlmodel import col

from api import context
from api.appointments import AppointmentOut
from api.auth import PUBLIC, allow
from api.etag import require_match
from api.importing import MAX_BYTES, read_rows
from api.openapi import resource
from api.pagination import DatedPageQuery, Page, page_of, paginate
from api.reasons import Why
from api.render import answer
from api.schemas import (
    EXAMPLE_ID,
    Answer,
    Body,
    Id,
    Instant,
    Name,
    Note,
    Path,
    Place,
    PlaceOut,
    Reference,
    absent,
    example,
)
from api.technicians import Email, Language, Phone
from dispatch import intake
from dispatch.access import actor_of, organization_named, own_organization, request_of, technicians_by_no
from dispatch.appointment import appointment_of
from dispatch.customer import Channel
from dispatch.gazetteer import located
from dispatch.intake import NewCustomer, NewRequest, Outcome, RequestStatus, Result, Wish
from dispatch.places import Place as Somewhere
from dispatch.places import place_of
from dispatch.proof import code_for_customer
from dispatch.service_request import Priority, ServiceRequest, Source

service_requests = resource("service_requests", "What customers need, where and by when.")

ExternalId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


IMPORT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "text/csv": {
            "schema": {"type": "string"},
            "example": "external_id,service_id,customer_name,lat,lon\n"
            "7,01932f6e-7a3b-7cc1-9d3e-5f2a8c4b6e10,Casey,40.7486,-73.9791\n",
        },
        "application/x-ndjson": {
            "schema": {"type": "string"},
            "example": '{"external_id": "7", "service_id": "01932f6e-7a3b-7cc1-9d3e-5f2a8c4b6e10", '
            '"customer": {"name": "Casey"}, "place": {"lat": 40.7486, "lon": -73.9791}}\n',
        },
    },
}


class CustomerIn(Body):
    """Whom the visit is for. language: a BCP 47 tag."""

    name: Name
    phone: Phone | None = None
    email: Email | None = None
    preferred_channel: Channel | None = None
    language: Language | None = None


class CustomerChanges(Body):
    """What is to change of the customer; null clears."""

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None
    preferred_channel: Channel | None = None
    language: Language | None = None

    @field_validator("name")
    @classmethod
    def _there_must_be(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("cannot be cleared")
        return value


class RequestedWork(Body):
    """What is needed, as a row of an import says it too. earliest_start and due bound when the work may start."""

    service_id: Reference
    customer: CustomerIn
    place: Place
    notes: Note | None = None
    priority: Priority = Priority.NORMAL
    earliest_start: Instant | None = None
    due: Instant | None = None
    preferred_technician_id: Reference | None = None
    source: Source | None = None
    external_id: ExternalId | None = None

    def at(self, place: Somewhere) -> NewRequest:
        """What is to be registered, once its place is known."""
        usual = Source.API if context.principal().key_id else Source.WEB
        return NewRequest(
            service_id=self.service_id,
            customer=NewCustomer(**dict(self.customer)),
            place=place,
            notes=self.notes,
            priority=self.priority,
            earliest_start=self.earliest_start,
            due=self.due,
            preferred_technician_id=self.preferred_technician_id,
            source=self.source or usual,
            external_id=self.external_id,
        )


class NewServiceRequest(RequestedWork):
    """What is needed and from which organization, by its slug. To the public a priority above normal and an
    `external_id` are forbidden."""

    model_config = example(
        {
            "organization": "acme",
            "service_id": EXAMPLE_ID,
            "customer": {"name": "Casey Jones", "phone": "+12125550123"},
            "place": {"lat": 40.7486, "lon": -73.9791, "address": "350 5th Ave, New York"},
            "notes": "The tap drips.",
        }
    )

    organization: Reference


class ServiceRequestChanges(Body):
    """What is to change. null clears the notes; a place and a customer there must be."""

    model_config = example({"notes": "Ring twice.", "customer": {"phone": "+12125550123"}})

    place: Place | None = None
    notes: Note | None = None
    customer: CustomerChanges | None = None

    @field_validator("place", "customer")
    @classmethod
    def _there_must_be(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("cannot be cleared")
        return value


class CustomerOut(Answer):
    """Whom the visit is for."""

    name: str
    phone: str | None
    email: str | None
    preferred_channel: Channel | None
    language: str | None


class ServiceRequestOut(Answer):
    """A request. status: derived from its appointment and the offers of it. follow_up_of: the request whose visit it
    follows. proof_code: for its customer alone, to be told to the technician at the door; from when somebody has
    committed until the visit has ended."""

    id: str
    status: RequestStatus
    service_id: str
    territory_id: str
    appointment_id: str
    customer: CustomerOut
    place: PlaceOut
    notes: str | None
    priority: Priority
    earliest_start: Instant | None
    due: Instant | None
    preferred_technician_id: str | None
    source: Source
    external_id: str | None
    follow_up_of: str | None
    proof_code: str | None = Field(None, exclude_if=absent, examples=["204817"])
    created_at: Instant
    version: int

    @classmethod
    def each(cls, rows: Sequence[ServiceRequest]) -> list[Self]:
        """Built from their rows."""
        session, settings = context.session(), context.settings()
        tells_code = context.principal().role == "customer"
        standing = intake.standing_of(session, rows)
        preferred = {row.preferred_technician_no for row in rows if row.preferred_technician_no is not None}
        people = technicians_by_no(session, sorted(preferred))
        return [
            cls.model_validate(
                row.model_dump()
                | {
                    "status": standing[row.id].status,
                    "appointment_id": standing[row.id].appointment.id,
                    "customer": standing[row.id].customer,
                    "place": place_of(row),
                    "proof_code": code_for_customer(settings, standing[row.id].appointment)
                    if tells_code
                    else None,
                    "preferred_technician_id": people[row.preferred_technician_no].id
                    if row.preferred_technician_no is not None
                    else None,
                }
            )
            for row in rows
        ]

    @classmethod
    def of(cls, row: ServiceRequest) -> Self:
        """Built from its row."""
        return cls.each([row])[0]


class RegisteredRequest(Answer):
    """The request, its one appointment, and the key by which its customer manages both: shown this once."""

    service_request: ServiceRequestOut
    appointment: AppointmentOut
    manage_token: str


class ServiceRequestPage(Page[ServiceRequestOut]):
    """One page of requests, the newest first."""


class ServiceRequestPath(Path):
    """Which request."""

    service_request_id: Id


class ServiceRequestQuery(DatedPageQuery):
    """q: part of the customer's name, the address, the notes or the external id. `from` and `to`: local dates of
    creation in the organization's time zone, both included."""

    status: RequestStatus | None = None
    q: Name | None = None


class Withdrawal(Body):
    """Why, if the customer cares to say."""

    model_config = example({"reason": "It works again."})

    reason: Why | None = None


class RefusedField(Answer):
    """What is wrong with a field."""

    field: str
    message: str


class ImportedRow(Answer):
    """What became of a row. line: where it begins in what was sent, from 1."""

    line: int
    result: Result
    external_id: str | None = Field(None, exclude_if=absent)
    service_request_id: str | None = Field(None, exclude_if=absent)
    appointment_id: str | None = Field(None, exclude_if=absent)
    code: str | None = Field(None, exclude_if=absent)
    detail: str | None = Field(None, exclude_if=absent)
    errors: list[RefusedField] | None = Field(None, exclude_if=absent)

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Built from what came of it."""
        refusal, row = outcome.refusal, outcome.request
        return cls(
            line=outcome.line,
            result=outcome.result,
            external_id=row.external_id if row else None,
            service_request_id=row.id if row else None,
            appointment_id=outcome.appointment_id,
            code=refusal.code if refusal else None,
            detail=refusal.detail if refusal else None,
            errors=refusal.extra.get("errors") if refusal else None,
        )


class Imported(Answer):
    """How many rows came to what, and each of them."""

    created: int
    existing: int
    refused: int
    rows: list[ImportedRow]


@service_requests.post("/service-requests", summary="Ask for a visit", responses={201: RegisteredRequest})
@allow(PUBLIC)
def create(body: NewServiceRequest) -> Response:
    """Registers the request with one appointment, unassigned, nothing promised. Find slots for it and book one, or let
    a plan promise it a window."""
    session, principal, now = context.session(), context.principal(), context.now()
    organization = organization_named(session, principal, body.organization)
    intake.require_may_register(principal, body.priority, body.external_id)
    new = body.at(located(session, context.settings(), body.place))
    row, appointment = intake.register(session, organization.id, new, actor_of(principal), now)
    registered = RegisteredRequest(
        service_request=ServiceRequestOut.of(row),
        appointment=AppointmentOut.of(appointment),
        manage_token=intake.manage_token(session, row, now),
    )
    version = _version(registered.service_request, appointment.version)
    return answer(registered, 201, version=version, location=f"/v1/service-requests/{row.id}")


@service_requests.get("/service-requests", summary="List requests", responses={200: ServiceRequestPage})
@allow("dispatcher")
def read_all(query: ServiceRequestQuery) -> Response:
    """The newest first."""
    session = context.session()
    organization = own_organization(session, context.principal())
    wanted = intake.requests_like(organization, Wish(query.status, query.q, query.from_, query.to))
    by = [col(ServiceRequest.created_at), col(ServiceRequest.id)]
    rows, cursor = paginate(session, wanted, query, by=by, newest_first=True)
    return answer(page_of(ServiceRequestPage, ServiceRequestOut.each(rows), cursor))


@service_requests.get(
    "/service-requests/<service_request_id>", summary="Read a request", responses={200: ServiceRequestOut}
)
@allow("customer", "integration", "dispatcher")
def read(path: ServiceRequestPath) -> Response:
    """With its derived status."""
    return _answer(request_of(context.session(), context.principal(), path.service_request_id))


@service_requests.patch(
    "/service-requests/<service_request_id>", summary="Correct a request", responses={200: ServiceRequestOut}
)
@allow("customer", "integration", "dispatcher")
def change(path: ServiceRequestPath, body: ServiceRequestChanges) -> Response:
    """Another place takes the promise along, with whoever can keep it there; where nobody can, it is 409 `slot_taken`
    with the next best slots there. Once the technician is on the way, the place stands."""
    session, principal = context.session(), context.principal()
    row = request_of(session, principal, path.service_request_id, change=True)
    require_match(_version_of(row), required=False)
    changes = body.changes()
    if body.place is not None:
        changes["place"] = located(session, context.settings(), body.place)
    if body.customer is not None:
        changes["customer"] = body.customer.changes()
    intake.correct(session, context.settings(), row, changes, actor_of(principal), context.now())
    return _answer(row)


@service_requests.post(
    "/service-requests/<service_request_id>/cancel",
    summary="Withdraw a request",
    responses={200: ServiceRequestOut},
)
@allow("customer", "integration", "dispatcher")
def cancel(path: ServiceRequestPath, body: Withdrawal) -> Response:
    """Cancels its appointment, whatever stands; what that costs, the appointment's `cancel` tells by `dry_run`."""
    session, principal = context.session(), context.principal()
    row = request_of(session, principal, path.service_request_id, change=True)
    intake.cancel(session, context.settings(), row, actor_of(principal), context.now(), body.reason)
    return _answer(row)


@service_requests.post(
    "/service-requests/import",
    summary="Import requests",
    responses={200: Imported},
    request_body=IMPORT_BODY,
)
@allow("integration", "dispatcher", raw_body=True, max_body_bytes=MAX_BYTES, limit="60/minute")
def import_many() -> Response:
    """CSV (`text/csv`) or JSON lines (`application/x-ndjson`, `application/jsonl`), in UTF-8. A line of JSON has the
    members of a request without `organization`. CSV has a header with the names of those members; the customer's are
    `customer_name`, `customer_phone` and so on, the place is `lat` and `lon`, or `address`. A row that is refused takes
    nothing from the others; one whose `external_id` is known changes nothing."""
    session, principal = context.session(), context.principal()
    rows = read_rows(request.get_data(), request.mimetype, RequestedWork.model_validate_json)
    outcomes = intake.register_rows(
        session,
        context.settings(),
        own_organization(session, principal).id,
        rows,
        actor_of(principal),
        context.now(),
    )
    results = [outcome.result for outcome in outcomes]
    return answer(
        Imported(
            created=results.count("created"),
            existing=results.count("existing"),
            refused=results.count("refused"),
            rows=[ImportedRow.of(outcome) for outcome in outcomes],
        )
    )


def _answer(row: ServiceRequest) -> Response:
    return answer(ServiceRequestOut.of(row), version=_version_of(row))


def _version_of(row: ServiceRequest) -> str:
    return _version(ServiceRequestOut.of(row), appointment_of(context.session(), row.id).version)


def _version(shown: ServiceRequestOut, appointment_version: int) -> str:
    """The status that is shown changes with the appointment and with offers of it."""
    return f"{shown.version}.{appointment_version}.{shown.status}"
