"""Who calls, and who may: `@allow(...)` on every view, looked up before anything of the request is parsed.

A caller shows a key as `Authorization: Bearer KEY` (or bare, where a view says so), or comes with the cookie of a
browser session, which `/login` opens with `start_browser_session`. A cookie travels by itself, so what changes
something must also send the session's CSRF token, in the header `X-CSRF-Token` or the form field `csrf_token`."""

import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import structlog
from flask import Request, Response, g, request
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api import context
from api.bodies import MAX_BODY_BYTES
from dispatch import keys
from dispatch.database import available, open_session, transaction
from dispatch.errors import DispatchError, Forbidden, Unauthenticated
from dispatch.keys import ANONYMOUS, Principal, Role

PUBLIC: Role = "anonymous"
"""Says in `@allow` that anyone may call, with or without a key."""

COOKIE = "dispatch_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
SESSION_LIFE = timedelta(hours=12)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_log = structlog.get_logger("api.auth")
_touched: dict[str, datetime] = {}
_uses = ThreadPoolExecutor(1, thread_name_prefix="key-uses")
_TOUCH_EVERY = timedelta(minutes=1)

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """What a view declares.

    roles: who may call. writes: a GET that writes. limit: a rate of its own, such as `10/minute`. raw_body: the view
    reads the body itself, which need not be JSON. max_body_bytes: where the limit is not 1 MiB. idempotent: whether
    a POST honours Idempotency-Key. replays_to_former: whose key was revoked since may have the stored answer again,
    if the Idempotency-Key is too long to guess. bare_key: takes `Authorization: KEY` too, for
    clients that are not ours.
    """

    roles: frozenset[Role]
    writes: bool = False
    limit: str | None = None
    raw_body: bool = False
    max_body_bytes: int = MAX_BODY_BYTES
    idempotent: bool = True
    replays_to_former: bool = False
    bare_key: bool = False

    @property
    def public(self) -> bool:
        """Whether anyone may call."""
        return PUBLIC in self.roles


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """What the cookie says: whose key opened it, and the token that its forms carry."""

    key_id: str
    csrf_token: str


def allow(
    *roles: Role,
    writes: bool = False,
    limit: str | None = None,
    raw_body: bool = False,
    max_body_bytes: int = MAX_BODY_BYTES,
    idempotent: bool = True,
    replays_to_former: bool = False,
    bare_key: bool = False,
) -> Callable[[View], View]:
    """Declares who may call a view: 401 for others without a good key, 403 for roles that may never. Written
    below the route's decorator; `access_of` reads it back. `Access` says what the rest means."""
    access = Access(
        frozenset(roles), writes, limit, raw_body, max_body_bytes, idempotent, replays_to_former, bare_key
    )

    def declare(view: View) -> View:
        cast(Any, view).access = access
        return view

    return declare


def access_of(view: Callable[..., Any]) -> Access | None:
    """What `@allow` declared on the view."""
    return cast(Access | None, getattr(view, "access", None))


def identify() -> None:
    """Finds out who calls, for all that follows; what is wrong with the key is kept for `require`."""
    g.principal, g.refusal, g.browser_session, g.former = ANONYMOUS, None, None, None
    header = request.headers.get("Authorization")
    if header is None and COOKIE not in request.cookies:
        return
    try:
        g.principal = _by_header(header) if header is not None else _by_cookie(request)
    except DispatchError as refusal:
        g.refusal = refusal


def require(access: Access) -> None:
    """Raises `Unauthenticated` or `Forbidden` unless the caller may."""
    if g.refusal is not None:
        raise cast(DispatchError, g.refusal)
    principal = context.principal()
    if not access.public:
        if principal is ANONYMOUS:
            raise Unauthenticated
        if principal.role not in access.roles:
            raise Forbidden
    if g.browser_session is not None and request.method not in SAFE_METHODS:
        _require_csrf_token(g.browser_session)


def _by_header(header: str) -> Principal:
    scheme, _, key = header.partition(" ")
    key = key.strip()
    if not key and _takes_bare_key():
        scheme, key = "bearer", scheme
    if scheme.lower() != "bearer" or not key or any(ord(character) > 126 for character in key):
        raise Unauthenticated
    with available(), open_session(context.engine(), read_only=True) as session:
        found = keys.find_key(session, key)
        if found is None:
            raise Unauthenticated
        if not found.opens(context.now()):
            g.former = found.principal()
            raise Unauthenticated
        return found.principal()


def _takes_bare_key() -> bool:
    view = context.current_view()
    access = access_of(view) if view is not None else None
    return access is not None and access.bare_key


def _by_cookie(request: Request) -> Principal:
    try:
        found = _serializer().loads(request.cookies[COOKIE], max_age=int(SESSION_LIFE.total_seconds()))
    except BadData:
        return ANONYMOUS
    with available(), open_session(context.engine(), read_only=True) as session:
        principal = keys.principal_of(session, found["key_id"], context.now())
    if principal is None:
        return ANONYMOUS
    g.browser_session = BrowserSession(key_id=found["key_id"], csrf_token=found["csrf_token"])
    return principal


def _require_csrf_token(opened: BrowserSession) -> None:
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data"):
        sent = request.form.get(CSRF_FIELD)
    if sent is None or not hmac.compare_digest(sent.encode(), opened.csrf_token.encode()):
        raise Forbidden("csrf_failed", f"Send the session's token as {CSRF_HEADER}.")


def note_use() -> None:
    """Keeps when the key was last used, to the minute, in a transaction of its own beside the requests: who only reads
    does not wait for those who write."""
    key_id, now = context.principal().key_id, context.now()
    if key_id is None or now - _touched.get(key_id, datetime.min.replace(tzinfo=UTC)) < _TOUCH_EVERY:
        return
    if len(_touched) > 10_000:
        _touched.clear()
    _touched[key_id] = now
    _uses.submit(_write_use, context.engine(), key_id, now)


def _write_use(engine: Engine, key_id: str, now: datetime) -> None:
    try:
        with transaction(engine) as session:
            keys.touch(session, key_id, now)
    except (SQLAlchemyError, DispatchError) as error:
        _log.warning("key_use_not_noted", key_id=key_id, error=type(error).__name__)


def await_uses() -> None:
    """Until every use so far is kept."""
    _uses.submit(lambda: None).result()


def start_browser_session(response: Response, principal: Principal) -> str:
    """Sets on `response` the cookie by which a browser acts for `principal` from now on; returns the CSRF
    token that the session's pages must carry. It ends with `end_browser_session`, after 12 hours, or with
    the key."""
    if principal.key_id is None:
        raise Unauthenticated
    token = secrets.token_urlsafe(24)
    value = _serializer().dumps({"key_id": principal.key_id, "csrf_token": token})
    response.set_cookie(
        COOKIE,
        value if isinstance(value, str) else value.decode(),
        max_age=SESSION_LIFE,
        secure=context.settings().public_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return token


def end_browser_session(response: Response) -> None:
    """Takes the cookie back."""
    response.delete_cookie(
        COOKIE,
        secure=context.settings().public_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
        path="/",
    )


def browser_session() -> BrowserSession | None:
    """The browser session in which this request came, for a page that renders its `csrf_token`."""
    return cast(BrowserSession | None, g.get("browser_session"))


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(context.settings().secret.get_secret_value(), salt="browser-session")
