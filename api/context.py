"""What a view may ask for about the request that it serves."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from flask import current_app, g, request
from sqlalchemy import Engine
from sqlmodel import Session

from dispatch.database import available, open_session
from dispatch.keys import ANONYMOUS, Principal
from dispatch.settings import Settings

EXTENSION = "dispatch"


@dataclass(frozen=True, slots=True)
class Installation:
    """What one application lives on."""

    settings: Settings
    engine: Engine
    clock: Callable[[], datetime]


def utc_now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


def installation() -> Installation:
    """Of the application that serves this request."""
    return cast(Installation, current_app.extensions[EXTENSION])


def settings() -> Settings:
    """The settings of this application."""
    return installation().settings


def engine() -> Engine:
    """For what outlives the request, such as a stream: it opens sessions of its own."""
    return installation().engine


def now() -> datetime:
    """The instant at which the request came; the same throughout."""
    if "now" not in g:
        g.now = installation().clock()
    return cast(datetime, g.now)


def principal() -> Principal:
    """Who calls; `ANONYMOUS` on a public route without a key."""
    return cast(Principal, g.get("principal", ANONYMOUS))


def session() -> Session:
    """The request's one session, opened when first asked for. It commits when the view has returned and
    rolls back on any error: verbs flush. A GET may only read, unless it is declared with `@allow(...,
    writes=True)`."""
    if "session" not in g:
        with available():
            g.session = open_session(engine(), read_only=g.get("read_only", False))
    return cast(Session, g.session)


def only_read() -> None:
    """What follows changes nothing: the session, unless it is open already, waits for no writer and may not write."""
    if "session" not in g:
        g.read_only = True


def after_commit(work: Callable[[], None]) -> None:
    """Run `work` once the request's transaction stands: wake the poller, hand a task to a worker. Give it ids: rows are
    let go by then."""
    g.setdefault("after_commit", []).append(work)


def current_view() -> Callable[..., object] | None:
    """The view that answers this request; None where no route matched."""
    endpoint = request.endpoint
    return current_app.view_functions.get(endpoint) if endpoint is not None else None
