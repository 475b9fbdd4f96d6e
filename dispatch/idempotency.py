"""Idempotency-Key: a POST that is sent twice happens once, and is answered twice.

The record is written in the transaction of the effect that it answers for, so that a crash leaves both or
neither. While the first request runs, a second is refused by a lock that dies with its holder: PostgreSQL's
advisory lock on the transaction; on SQLite a set in this process, and between processes the one writer's
lock makes the second wait and then find the record. Nothing has to be cleaned up after `kill -9`.

The stored answer is encrypted under a key derived from the Idempotency-Key, which itself is not stored:
answers may hold secrets (a new key, a manage token), and only who asked can have them again."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import func, text
from sqlmodel import Field, Session, SQLModel, col, delete, select

from dispatch.errors import IdempotencyInFlight, IdempotencyKeyReused, Invalid
from dispatch.keys import ANONYMOUS, Principal

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255
LEAST_PUBLIC_KEY_LENGTH = 32

_running: set[str] = set()
_guard = threading.Lock()


class IdempotencyRecord(SQLModel, table=True):
    """What was answered. `scope` names caller, route and key; `fingerprint` the body; both are one-way."""

    __tablename__ = "idempotency_record"

    scope: str = Field(primary_key=True, max_length=64)
    fingerprint: str = Field(max_length=64)
    sealed_answer: bytes
    created_at: datetime
    expires_at: datetime = Field(index=True)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An HTTP answer: its status, the headers that belong to it, its body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One POST under one key. `seal` encrypts its answer."""

    scope: str
    fingerprint: str
    seal: Fernet


def call_of(principal: Principal, route: str, key: str, body: Any, secret: str) -> Call:
    """The call that `principal` makes on `route` (method and path) with the header's `key` and a `body` of
    JSON values (or bytes). On a public route the scope includes the body, and a key must be too long to
    guess. Raises `Invalid`."""
    public = principal == ANONYMOUS
    _require_usable(key, LEAST_PUBLIC_KEY_LENGTH if public else 1)
    derived = HKDF(SHA256(), length=64, salt=secret.encode(), info=b"idempotency").derive(key.encode())
    fingerprint = _one_way(derived[:32], body if isinstance(body, bytes) else canonical(body).encode())
    named = [principal.subject, route, fingerprint if public else ""]
    scope = _one_way(derived[:32], json.dumps(named).encode())
    return Call(scope, fingerprint, Fernet(base64.urlsafe_b64encode(derived[32:])))


@contextmanager
def running(session: Session, call: Call, *, waits: bool = False) -> Iterator[None]:
    """Holds the call for the length of the block. Raises `IdempotencyInFlight` if another holds it, unless it `waits`
    until that one has ended, as a person does who pressed a button twice. On PostgreSQL the lock lasts until the
    transaction ends; on SQLite who waits does so for the one writer's lock."""
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    number = int.from_bytes(bytes.fromhex(call.scope[:16]), signed=True)
    if waits:
        session.execute(select(func.pg_advisory_xact_lock(number)) if on_postgresql else text("SELECT 1"))
        yield
        return
    if on_postgresql:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(number))):
            raise IdempotencyInFlight
        yield
        return
    with _guard:
        if call.scope in _running:
            raise IdempotencyInFlight
        _running.add(call.scope)
    try:
        yield
    finally:
        with _guard:
            _running.discard(call.scope)


def recall(session: Session, call: Call, now: datetime) -> StoredAnswer | None:
    """What was answered to this call in the last 24 hours. Raises `IdempotencyKeyReused` where the body
    differs."""
    record = session.get(IdempotencyRecord, call.scope)
    if record is None or record.expires_at <= now:
        return None
    if not hmac.compare_digest(record.fingerprint, call.fingerprint):
        raise IdempotencyKeyReused
    kept = json.loads(call.seal.decrypt(record.sealed_answer))
    return StoredAnswer(kept["status"], kept["headers"], base64.b64decode(kept["body"]))


def remember(session: Session, call: Call, answer: StoredAnswer, now: datetime) -> None:
    """Keep the answer for 24 hours, in the transaction of what it answers for."""
    kept = {
        "status": answer.status,
        "headers": answer.headers,
        "body": base64.b64encode(answer.body).decode(),
    }
    session.merge(
        IdempotencyRecord(
            scope=call.scope,
            fingerprint=call.fingerprint,
            sealed_answer=call.seal.encrypt(json.dumps(kept).encode()),
            created_at=now,
            expires_at=now + KEPT,
        )
    )
    session.flush()


def forget_expired(session: Session, now: datetime) -> int:
    """Deletes what is past its 24 hours; returns how many records that were."""
    forgotten = session.exec(delete(IdempotencyRecord).where(col(IdempotencyRecord.expires_at) <= now))
    return forgotten.rowcount


def canonical(value: Any) -> str:
    """One text for each JSON value, whatever its spelling: the order of members and the form of numbers do
    not matter."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _one_way(key: bytes, content: bytes) -> str:
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def _require_usable(key: str, least: int) -> None:
    if not least <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise Invalid(
            errors=[("Idempotency-Key", f"must be {least} to {MAX_KEY_LENGTH} printable ASCII characters")]
        )
