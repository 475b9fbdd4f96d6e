"""What dispatchers do with webhooks: name an endpoint, change it, look at what became of its deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, delete, func, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.errors import Conflict, InvalidState
from dispatch.events import Actor, record
from dispatch.settings import Settings
from dispatch.webhook import DeliveryStatus, DisabledWhy, EventType, WebhookDelivery, WebhookEndpoint
from dispatch.webhook_address import require_savable
from dispatch.webhook_outbox import forget_known
from dispatch.webhook_sending import new_secret, seal

MOST_ENDPOINTS = 20
"""Of an organization: each event is written once for every one that wants it."""


def create(
    session: Session,
    settings: Settings,
    organization_id: str,
    url: str,
    events: Sequence[EventType],
    by: Actor,
    now: datetime,
) -> tuple[WebhookEndpoint, str]:
    """An endpoint that is told of these events from now on, of all where none are named, and the secret by which it
    knows that they come from here. The secret is shown this once. Raises `ForbiddenUrl`, and `Conflict` where there are
    too many."""
    require_savable(url, settings.webhook_allow)
    _require_room(session, organization_id)
    secret = new_secret()
    endpoint = WebhookEndpoint(
        organization_id=organization_id,
        url=url,
        events=list(dict.fromkeys(event.value for event in events)),
        sealed_secret=seal(settings, secret),
        created_at=now,
    )
    session.add(endpoint)
    session.flush()
    forget_known(session)
    _note(session, endpoint, "webhook.added", by, now, None, _shown(endpoint))
    return endpoint, secret


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """As the audit keeps it. Of the address only whose it is: what follows may be a secret."""
    return {
        "host": urlsplit(endpoint.url).hostname,
        "events": endpoint.events,
        "disabled": endpoint.disabled_at is not None,
    }


def _note(
    session: Session,
    endpoint: WebhookEndpoint,
    event: str,
    by: Actor,
    now: datetime,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    record(session, endpoint.organization_id, endpoint.id, event, now, by, None, before, after)


def _require_room(session: Session, organization_id: str) -> None:
    counted = select(func.count()).where(WebhookEndpoint.organization_id == organization_id)
    if session.exec(counted).one() >= MOST_ENDPOINTS:
        raise Conflict("too_many_webhooks", f"An organization has {MOST_ENDPOINTS} webhooks at most.")


def endpoints_of(organization_id: str) -> SelectOfScalar[WebhookEndpoint]:
    return select(WebhookEndpoint).where(WebhookEndpoint.organization_id == organization_id)


def require_allowed(settings: Settings, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes, if the URL among them may be saved; asked before anything is locked, for the name is looked up.
    Raises `ForbiddenUrl`."""
    if "url" in changes:
        require_savable(changes["url"], settings.webhook_allow)
    return changes


def change(
    session: Session, endpoint: WebhookEndpoint, changes: Mapping[str, Any], by: Actor, now: datetime
) -> None:
    """Takes over what was sent of `url` (which is allowed), `events` and `disabled`. Enabled again, it is told of what
    happens from then on."""
    before = _shown(endpoint)
    if "url" in changes:
        endpoint.url = changes["url"]
    if "events" in changes:
        endpoint.events = list(dict.fromkeys(event.value for event in changes["events"] or ()))
    endpoint.version += 1
    disabled = changes.get("disabled")
    if disabled is True and endpoint.disabled_at is None:
        endpoint.disable(session, DisabledWhy.DISPATCHER, now)
    elif disabled is False and endpoint.disabled_at is not None:
        endpoint.enable()
    session.add(endpoint)
    session.flush()
    forget_known(session)
    _note(session, endpoint, "webhook.changed", by, now, before, _shown(endpoint))


def remove(session: Session, endpoint: WebhookEndpoint, by: Actor, now: datetime) -> None:
    """With its secret and its deliveries, also those that were still to come."""
    _note(session, endpoint, "webhook.removed", by, now, _shown(endpoint), None)
    session.exec(delete(WebhookDelivery).where(col(WebhookDelivery.endpoint_id) == endpoint.id))
    session.delete(endpoint)
    session.flush()
    forget_known(session)


def deliveries_to(
    endpoint: WebhookEndpoint, status: DeliveryStatus | None
) -> SelectOfScalar[WebhookDelivery]:
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    return query if status is None else query.where(WebhookDelivery.status == status)


def redeliver(session: Session, endpoint: WebhookEndpoint, delivery: WebhookDelivery, now: datetime) -> None:
    """Has it sent once more, whatever became of it: with the same id, so that who got it knows it again. Raises
    `InvalidState` while the endpoint is disabled."""
    if endpoint.disabled_at is not None:
        raise InvalidState("disabled", ["enabled"], "The webhook is disabled; enable it first.")
    delivery.send_again(now)
    session.add(delivery)
    session.flush()


def forget_ended(session: Session, ended_before: datetime, limit: int = 500) -> int:
    """Deletes what was delivered or failed before then; gives back how many."""
    query = (
        select(WebhookDelivery.id)
        .where(col(WebhookDelivery.ended_at) < ended_before)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ended = session.exec(query).all()
    if not ended:
        return 0
    return session.exec(delete(WebhookDelivery).where(col(WebhookDelivery.id).in_(ended))).rowcount
