"""What a technician says of its visit beside how far it is: that it is late, proof, and that somebody has to come
again."""

from typing import Annotated, Any

from flask import Response, request
from flask_openapi.models.schema import Schema
from pydantic import Field, StringConstraints, ValidationError

from api import context, problems
from api.appointments import AppointmentOut, AppointmentPath
from api.auth import allow
from api.bodies import MAX_BODY_BYTES
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, page_through
from api.reasons import Why
from api.render import answer
from api.schemas import EXAMPLE_ID, Answer, Body, Id, Instant, Path, Text, example
from api.transaction import refused_for_good
from dispatch import follow_up, lateness, proof
from dispatch.access import actor_of, appointment_of_caller
from dispatch.appointment import Appointment
from dispatch.errors import Invalid, TooLarge
from dispatch.links import PROOF_CODE_DIGITS
from dispatch.proof import FORMATS, LARGEST_PHOTO, Proof, ProofKind

visits = resource("visits", "What a technician says of its visit.")

MULTIPART = "multipart/form-data"
AROUND_PHOTO = 64 << 10
"""Bytes of a form around its file."""
PROOF_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/ProofCode"}},
        **{name: {"schema": {"type": "string", "format": "binary"}} for name in FORMATS.values()},
        MULTIPART: {
            "schema": {
                "type": "object",
                "properties": {"photo": {"type": "string", "format": "binary"}},
                "required": ["photo"],
            }
        },
    },
}
PHOTO: dict[str, Any] = {
    "description": "The photo as it was sent.",
    "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in FORMATS.values()},
}
PHOTO_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


class Lateness(Body):
    """By how much later than planned the technician expects to begin; 0 takes back what it said."""

    model_config = example({"by_s": 1500})

    by_s: Annotated[int, Field(ge=0, le=86_400)]


class ProofCode(Body):
    """The code that the customer finds on its page."""

    model_config = example({"code": "204817"})

    code: Annotated[str, StringConstraints(strip_whitespace=True, pattern=rf"^[0-9]{{{PROOF_CODE_DIGITS}}}$")]


class NewFollowUp(Body):
    """Why somebody has to come again, not before when, and what to know then."""

    model_config = example(
        {"reason": "A valve has to be ordered.", "earliest_start": "2027-03-12T09:00:00-05:00"}
    )

    reason: Why
    earliest_start: Instant | None = None
    note: Text | None = None


class ProofOut(Answer):
    """Proof that a visit was made. media_type and size_bytes: of a photo."""

    id: str
    kind: ProofKind
    media_type: str | None
    size_bytes: int | None
    at: Instant


class ProofPage(Page[ProofOut]):
    """One page of proof, in order of time."""


class ProofPath(Path):
    """Which proof of which appointment."""

    appointment_id: Id
    proof_id: Id


class FollowUpOut(Answer):
    """The request that follows a visit, and its appointment, which somebody has to plan."""

    service_request_id: str = Field(examples=[EXAMPLE_ID])
    appointment_id: str
    follow_up_of: str
    earliest_start: Instant | None
    created_at: Instant


@visits.post("/appointments/<appointment_id>/late", summary="Say to be late", responses={200: AppointmentOut})
@allow("technician", "dispatcher")
def late(path: AppointmentPath, body: Lateness) -> Response:
    """From the acceptance until the technician is there. The customer is told once the promised window breaks; what it
    sees expected follows at once, and so does what is foreseen for the visits after this one."""
    row, by = _visit(path, change=True), actor_of(context.principal())
    lateness.tell(context.session(), row, body.by_s, by, context.now())
    return answer(AppointmentOut.of(row), version=row.version)


@visits.post(
    "/appointments/<appointment_id>/proof",
    summary="Prove a visit",
    responses={201: ProofOut, 200: ProofOut},
    request_body=PROOF_BODY,
)
@allow("technician", raw_body=True, max_body_bytes=LARGEST_PHOTO + AROUND_PHOTO, limit="60/minute")
def prove(path: AppointmentPath) -> Response:
    """A photo up to 5 MiB (JPEG, PNG or WebP, as the body or as the one file of a form), ten at most, from the arrival
    on; or `{"code"}`, which the customer tells at the door: 422 `wrong_code` for another, 409 `too_many_codes`
    after ten of these. The same again is answered with 200 and changes nothing."""
    session, row = context.session(), _visit(path, change=True)
    by, now = actor_of(context.principal()), context.now()
    if request.mimetype in FORMATS.values() or request.mimetype == MULTIPART:
        return _kept(*proof.prove_by_photo(session, row, _photo(), by, now))
    told = proof.prove_by_code(session, context.settings(), row, _code(), by, now)
    return refused_for_good(_wrong_code()) if told is None else _kept(*told)


def _kept(row: Proof, is_new: bool) -> Response:
    shown = ProofOut.model_validate(row)
    if not is_new:
        return answer(shown)
    return answer(shown, 201, location=f"/v1/appointments/{row.appointment_id}/proof/{row.id}")


def _wrong_code() -> Invalid:
    said = "This is not the code of this visit; the customer finds it on its page."
    return Invalid("wrong_code", said, field="code")


def _photo() -> bytes:
    if request.mimetype != MULTIPART:
        return request.get_data()
    files = list(request.files.values())
    if len(files) != 1:
        raise Invalid(errors=[("photo", "needs one file")])
    content: bytes = files[0].read()
    return content


def _code() -> str:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise TooLarge
    try:
        return ProofCode.model_validate(request.get_json()).code
    except ValidationError as error:
        raise problems.invalid(error) from error


@visits.get("/appointments/<appointment_id>/proof", summary="List the proof", responses={200: ProofPage})
@allow("dispatcher")
def read_proofs(path: AppointmentPath, query: PageQuery) -> Response:
    """In order of time."""
    found = proof.proofs_of(context.session(), _visit(path))
    rows, cursor = page_through(found, query, _order, 2)
    return answer(page_of(ProofPage, rows, cursor))


def _order(row: Proof) -> tuple[float, str]:
    return row.at.timestamp(), row.id


@visits.get("/appointments/<appointment_id>/proof/<proof_id>", summary="See a photo", responses={200: PHOTO})
@allow("dispatcher")
def read_photo(path: ProofPath) -> Response:
    """404 for a code, of which there is nothing to see."""
    row = appointment_of_caller(context.session(), context.principal(), path.appointment_id)
    content, media_type = proof.photo_of(context.session(), row, path.proof_id)
    return Response(content, mimetype=media_type, headers=PHOTO_HEADERS)


@visits.post(
    "/appointments/<appointment_id>/follow-up",
    summary="Ask for a follow-up visit",
    responses={201: FollowUpOut, 200: FollowUpOut},
)
@allow("technician", "dispatcher")
def follow(path: AppointmentPath, body: NewFollowUp) -> Response:
    """After a visit that was completed or could not be: a new request of the same customer, for the same service at the
    same place. While it stands, a second is answered with 200 and the first."""
    row, by = _visit(path, change=True), actor_of(context.principal())
    wanted = follow_up.FollowUp(body.reason, body.earliest_start, body.note)
    asked, following, is_new = follow_up.follow_up(context.session(), row, wanted, by, context.now())
    shown = FollowUpOut.model_validate(
        asked.model_dump() | {"service_request_id": asked.id, "appointment_id": following.id}
    )
    return answer(shown, 201 if is_new else 200, location=f"/v1/service-requests/{asked.id}")


def _visit(path: AppointmentPath, *, change: bool = False) -> Appointment:
    return appointment_of_caller(context.session(), context.principal(), path.appointment_id, change=change)


visits.components_schemas["ProofCode"] = Schema(**ProofCode.model_json_schema())
