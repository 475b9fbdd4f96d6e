"""Keys: who calls. A key is 256 random bits; only its SHA-256 is stored, so a stolen table opens nothing."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import CheckConstraint, bindparam
from sqlmodel import Field, Session, SQLModel, col, select, update

from dispatch.errors import Conflict, Unauthenticated
from dispatch.events import SYSTEM, Actor, record
from dispatch.ids import ID_LENGTH, new_id
from dispatch.technician import Engagement, Technician

Role = Literal["dispatcher", "integration", "technician", "customer", "anonymous"]

_MARK = "fd_"
_PREFIX_LENGTH = len(_MARK) + 8
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as far as rules ask. The organization of a technician is None: it may work for several."""

    role: Role
    organization_id: str | None = None
    technician_id: str | None = None
    service_request_id: str | None = None
    key_id: str | None = None

    @property
    def subject(self) -> str:
        """Names the caller; a technician and a customer keep the name when their key is rotated."""
        return f"{self.role}:{self.technician_id or self.service_request_id or self.key_id or '-'}"


ANONYMOUS = Principal("anonymous")


class ApiKey(SQLModel, table=True):
    """A key as it is kept: `prefix` to show and to look up by, `hash` to compare with."""

    __tablename__ = "api_key"
    __table_args__ = (
        CheckConstraint("role IN ('dispatcher', 'integration', 'technician', 'customer')", name="role"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=ID_LENGTH)
    prefix: str = Field(max_length=_PREFIX_LENGTH, index=True)
    hash: str = Field(max_length=64, unique=True)
    role: str = Field(max_length=16)
    organization_id: str | None = Field(
        default=None, foreign_key="organization.id", index=True, max_length=ID_LENGTH
    )
    technician_id: str | None = Field(
        default=None, foreign_key="technician.id", index=True, max_length=ID_LENGTH
    )
    service_request_id: str | None = Field(
        default=None, foreign_key="service_request.id", index=True, max_length=ID_LENGTH
    )
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def opens(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def principal(self) -> Principal:
        """Who calls with it."""
        role = next(known for known in get_args(Role) if known == self.role)
        return Principal(
            role=role,
            organization_id=self.organization_id,
            technician_id=self.technician_id,
            service_request_id=self.service_request_id,
            key_id=self.id,
        )


def _hashed(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode()).hexdigest()


def issue_key(
    session: Session,
    role: Role,
    *,
    organization_id: str | None = None,
    technician_id: str | None = None,
    service_request_id: str | None = None,
    expires_at: datetime | None = None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key and its plaintext, which is shown once and kept nowhere. A dispatcher's and an integration's
    belong to an organization, a technician's to the technician, a customer's to one service request."""
    owner = {
        "dispatcher": organization_id,
        "integration": organization_id,
        "technician": technician_id,
        "customer": service_request_id,
    }
    if not owner.get(role):
        raise ValueError(f"a key of a {role} needs its owner")
    plaintext = _MARK + secrets.token_urlsafe(32)
    key = ApiKey(
        prefix=plaintext[:_PREFIX_LENGTH],
        hash=_hashed(plaintext),
        role=role,
        organization_id=organization_id,
        technician_id=technician_id,
        service_request_id=service_request_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return key, plaintext


def create_key(
    session: Session,
    role: Literal["dispatcher", "integration"],
    organization_id: str,
    by: Actor,
    now: datetime,
    reason: str | None = None,
) -> tuple[ApiKey, str]:
    """A key for the organization's people or programs, as `issue_key` gives it, and on record."""
    key, plaintext = issue_key(session, role, organization_id=organization_id, now=now)
    _record(session, key, "key.created", by, now, reason, after=_shown(key))
    return key, plaintext


_BY_PREFIX = select(ApiKey).where(ApiKey.prefix == bindparam("prefix"))


def find_key(session: Session, plaintext: str) -> ApiKey | None:
    """The key with this plaintext, whatever its state. Found by its prefix, compared in constant time."""
    if not plaintext.startswith(_MARK) or not plaintext.isascii():
        return None
    hashed = _hashed(plaintext)
    found = None
    for key in session.exec(_BY_PREFIX, params={"prefix": plaintext[:_PREFIX_LENGTH]}):
        if hmac.compare_digest(key.hash, hashed):
            found = key
    return found


def authenticate(session: Session, plaintext: str, now: datetime) -> Principal | None:
    """Who calls with this key; None if it is unknown, revoked or expired. Writes nothing: see `touch`."""
    key = find_key(session, plaintext)
    return key.principal() if key is not None and key.opens(now) else None


def principal_of(session: Session, key_id: str, now: datetime) -> Principal | None:
    """Who calls with the key of this id, as a browser session remembers it; None if it opens no more."""
    key = session.get(ApiKey, key_id)
    return key.principal() if key is not None and key.opens(now) else None


def touch(session: Session, key_id: str, now: datetime) -> None:
    """Note that the key was used, to the minute."""
    session.exec(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id)
        .where((col(ApiKey.last_used_at).is_(None)) | (col(ApiKey.last_used_at) < now - _TOUCH_EVERY))
        .values(last_used_at=now)
    )


def rotate(session: Session, principal: Principal, now: datetime) -> tuple[ApiKey, str]:
    """A new key for the same caller; the one it called with opens no more. Of two at once, one wins."""
    key = session.get(ApiKey, principal.key_id) if principal.key_id else None
    if key is None:
        raise Unauthenticated
    if not _revoke(session, key.id, now):
        raise Conflict("key_revoked", "This key was rotated or revoked meanwhile.")
    fresh, plaintext = issue_key(
        session,
        principal.role,
        organization_id=key.organization_id,
        technician_id=key.technician_id,
        service_request_id=key.service_request_id,
        expires_at=key.expires_at,
        now=now,
    )
    by = Actor(principal.role, principal.technician_id or key.id)
    _record(session, fresh, "key.rotated", by, now, before=_shown(key), after=_shown(fresh))
    return fresh, plaintext


def revoke(
    session: Session, key: ApiKey, now: datetime, by: Actor = SYSTEM, reason: str | None = None
) -> None:
    """From now on the key opens nothing. Revoking twice keeps the first date."""
    if _revoke(session, key.id, now):
        _record(session, key, "key.revoked", by, now, reason, before=_shown(key))
    session.refresh(key)


def _shown(key: ApiKey) -> dict[str, str]:
    return {"prefix": key.prefix, "role": key.role}


def _record(
    session: Session,
    key: ApiKey,
    type_: str,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    """With the organization that the key belongs to; a technician's with each that engages it."""
    organizations = [key.organization_id] if key.organization_id is not None else []
    if key.technician_id is not None:
        engaging = select(Engagement.organization_id).where(
            Engagement.technician_no == Technician.no, Technician.id == key.technician_id
        )
        organizations = list(session.exec(engaging))
    for organization_id in organizations:
        record(session, organization_id, key.id, type_, now, by, reason, before, after)
    session.flush()


def _revoke(session: Session, key_id: str, now: datetime) -> bool:
    revoked = session.exec(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    return bool(revoked.rowcount == 1)
