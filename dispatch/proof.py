"""Proof that a visit was made: photos that its technician took, and the code that the customer told at the door.

Photos are bytes in the database, in the transaction of their event (docs/decisions/0016)."""

import hashlib
import hmac
from datetime import datetime
from enum import StrEnum
from io import BytesIO
from typing import Any

from PIL import Image, UnidentifiedImageError
from sqlalchemy import LargeBinary
from sqlalchemy.orm import defer
from sqlmodel import Field, Session, SQLModel, col, func, select

from dispatch.appointment import HELD_BY_TECHNICIAN, Appointment, Status
from dispatch.columns import enum_type
from dispatch.errors import Conflict, NotFound, TooLarge, UnsupportedMediaType
from dispatch.events import Actor, Event, record
from dispatch.ids import new_id
from dispatch.links import proof_code
from dispatch.settings import Settings

LARGEST_PHOTO = 5 << 20
"""Bytes."""
MOST_PHOTOS = 10
"""Of one visit."""
FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""Media type by Pillow's name of the format."""
PHOTOGRAPHED = (Status.ON_SITE, Status.COMPLETED, Status.CANNOT_COMPLETE)
MET = (Status.ON_SITE, Status.COMPLETED)
PROVED, WRONG_CODE = "appointment.proved", "appointment.wrong_code"
MOST_WRONG_CODES = 10
"""For one promise: of a million codes, whoever guesses may try ten."""


class ProofKind(StrEnum):
    PHOTO = "photo"
    CODE = "code"


class Proof(SQLModel, table=True):
    """promise_revision: which of the appointment's promises it is proof of. Of a photo also: size_bytes, and digest,
    the SHA-256 of its content, by which one that is sent twice is known again."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str = Field(foreign_key="appointment.id", index=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no", index=True)
    promise_revision: int
    kind: ProofKind = Field(sa_type=enum_type(ProofKind))
    media_type: str | None = Field(default=None, max_length=32)
    size_bytes: int | None = None
    digest: str | None = Field(default=None, max_length=64)
    content: bytes | None = Field(default=None, sa_type=LargeBinary)
    at: datetime


def media_type_of(photo: bytes) -> str:
    """What the bytes are, whatever they are called. Their header is read, no picture is drawn of them. Raises
    `TooLarge`, and `UnsupportedMediaType` for all but JPEG, PNG and WebP."""
    if len(photo) > LARGEST_PHOTO:
        raise TooLarge(detail=f"A photo has {LARGEST_PHOTO >> 20} MiB at most.")
    try:
        with Image.open(BytesIO(photo), formats=tuple(FORMATS)) as image:
            named = image.format or ""
            image.verify()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UnsupportedMediaType(detail="Send a photo: JPEG, PNG or WebP.") from error
    return FORMATS[named]


def prove_by_photo(
    session: Session, appointment: Appointment, photo: bytes, by: Actor, now: datetime
) -> tuple[Proof, bool]:
    """Keeps a photo of the visit, and says whether it is new: the same one sent again changes nothing. Raises
    `InvalidState` before the technician is on site, `TooLarge`, `UnsupportedMediaType`, and `Conflict`
    (`too_many_photos`)."""
    appointment.require(*PHOTOGRAPHED)
    media_type, digest = media_type_of(photo), hashlib.sha256(photo).hexdigest()
    ours = select(Proof).where(
        Proof.appointment_id == appointment.id,
        Proof.promise_revision == appointment.promise_revision,
        Proof.kind == ProofKind.PHOTO,
    )
    known = session.exec(ours.where(Proof.digest == digest).options(_without_content())).first()
    if known is not None:
        return known, False
    if session.exec(select(func.count()).select_from(ours.subquery())).one() >= MOST_PHOTOS:
        raise Conflict("too_many_photos", f"A visit has {MOST_PHOTOS} photos at most.")
    proof = _proof(appointment, ProofKind.PHOTO, now)
    proof.media_type, proof.size_bytes, proof.digest, proof.content = media_type, len(photo), digest, photo
    return _kept(session, proof, by, now), True


def prove_by_code(
    session: Session, settings: Settings, appointment: Appointment, code: str, by: Actor, now: datetime
) -> tuple[Proof, bool] | None:
    """Notes that the customer told the code, and says whether that is new. None for a wrong one, which is noted too.
    Raises `InvalidState` before the technician is on site, and `Conflict` (`too_many_codes`) once too many were
    wrong."""
    appointment.require(*MET)
    if _wrong_codes(session, appointment) >= MOST_WRONG_CODES:
        raise Conflict("too_many_codes", "Too many codes were wrong; send a photo instead.")
    if not hmac.compare_digest(proof_code(settings, appointment).encode(), code.encode()):
        after = {"promise": appointment.promise_revision}
        record(session, appointment.organization_id, appointment.id, WRONG_CODE, now, by, after=after)
        session.flush()
        return None
    query = select(Proof).where(
        Proof.appointment_id == appointment.id,
        Proof.promise_revision == appointment.promise_revision,
        Proof.kind == ProofKind.CODE,
    )
    known = session.exec(query).first()
    if known is not None:
        return known, False
    return _kept(session, _proof(appointment, ProofKind.CODE, now), by, now), True


def _wrong_codes(session: Session, appointment: Appointment) -> int:
    query = select(Event).where(Event.subject_id == appointment.id, Event.type == WRONG_CODE)
    present = appointment.promise_revision
    return sum((event.after or {}).get("promise") == present for event in session.exec(query))


def code_for_customer(settings: Settings, appointment: Appointment) -> str | None:
    """From when a technician has committed until the visit has ended."""
    return proof_code(settings, appointment) if appointment.status in HELD_BY_TECHNICIAN else None


def proofs_of(session: Session, appointment: Appointment) -> list[Proof]:
    """In order of time, the contents of photos left where they are."""
    query = select(Proof).where(Proof.appointment_id == appointment.id).options(_without_content())
    return list(session.exec(query.order_by(col(Proof.at), col(Proof.id))))


def photo_of(session: Session, appointment: Appointment, proof_id: str) -> tuple[bytes, str]:
    """Its content and media type. Raises `NotFound`."""
    proof = session.get(Proof, proof_id)
    if proof is None or proof.appointment_id != appointment.id or proof.content is None:
        raise NotFound
    assert proof.media_type is not None
    return proof.content, proof.media_type


def _proof(appointment: Appointment, kind: ProofKind, now: datetime) -> Proof:
    assert appointment.technician_no is not None
    return Proof(
        organization_id=appointment.organization_id,
        appointment_id=appointment.id,
        technician_no=appointment.technician_no,
        promise_revision=appointment.promise_revision,
        kind=kind,
        at=now,
    )


def _kept(session: Session, proof: Proof, by: Actor, now: datetime) -> Proof:
    session.add(proof)
    after = {"proof_id": proof.id, "kind": proof.kind.value}
    record(session, proof.organization_id, proof.appointment_id, PROVED, now, by, after=after)
    session.flush()
    return proof


def _without_content() -> Any:
    return defer(col(Proof.content))  # type: ignore[arg-type]
