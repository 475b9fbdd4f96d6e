"""Webhooks: endpoints of others that are told what happens, and what became of each delivery."""

from typing import Annotated, Any, Self

from flask import Response
from pydantic import ConfigDict, Field, StringConstraints, field_validator
from sqlmodel import col

from api import context
from api.auth import allow
from api.etag import require_match
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.schemas import EXAMPLE_ID, Answer, Body, Id, Instant, Path, example
from dispatch import webhook_endpoints
from dispatch.access import actor_of, delivery_of, owned
from dispatch.events import Actor
from dispatch.webhook import DeliveryStatus, DisabledWhy, EventType, WebhookDelivery, WebhookEndpoint
from dispatch.webhook_address import LONGEST_URL

webhooks = resource("webhooks", "Endpoints of others that are told what happens.")

Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_URL),
    Field(examples=["https://erp.acme.example/dispatch"]),
]
Events = Annotated[list[EventType], Field(max_length=100)]
SHOWN: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "url": "https://erp.acme.example/dispatch",
    "events": ["appointment.booked", "appointment.completed"],
    "disabled": False,
    "disabled_at": None,
    "disabled_why": None,
    "failing_since": None,
    "created_at": "2027-03-02T13:00:00Z",
    "version": 1,
}


class NewWebhook(Body):
    """Where to send what happens. url: https, a public address. events: which; all where none are named."""

    model_config = example(
        {
            "url": "https://erp.acme.example/dispatch",
            "events": ["appointment.booked", "appointment.completed"],
        }
    )

    url: Url
    events: Events | None = None


class WebhookChanges(Body):
    """What is to change. events: null for all. disabled: false sends again what happens from now on."""

    model_config = example({"disabled": False})

    url: Url | None = None
    events: Events | None = None
    disabled: bool | None = None

    @field_validator("url", "disabled")
    @classmethod
    def _there_must_be(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("cannot be cleared")
        return value


class WebhookOut(Answer):
    """An endpoint. events: null for all. failing_since: the first failure since it last took something. disabled_why:
    by a dispatcher, because it answered 410, or because it took nothing for three days; nothing is sent until it is
    enabled."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [SHOWN]})

    id: str
    url: str
    events: list[str] | None
    disabled: bool
    disabled_at: Instant | None
    disabled_why: DisabledWhy | None
    failing_since: Instant | None
    created_at: Instant
    version: int

    @classmethod
    def of(cls, row: WebhookEndpoint, **more: Any) -> Self:
        """Built from its row."""
        shown = {"events": row.events or None, "disabled": row.disabled_at is not None}
        return cls.model_validate(row.model_dump() | shown | more)


class CreatedWebhook(WebhookOut):
    """The new endpoint. secret: by which it checks signatures, shown this once."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [SHOWN | {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDZ0nTzGk4cH8="}]
        },
    )

    secret: str


class WebhookPage(Page[WebhookOut]):
    """One page of endpoints, the oldest first."""


class WebhookPath(Path):
    """Which endpoint."""

    webhook_id: Id


class DeliveryOut(Answer):
    """One event to one endpoint. event_id: the `webhook-id` that is sent. attempts: since it was written or had sent
    again. response_status: of the last attempt, null where there was no answer. next_attempt_at: while it is
    pending."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "event_id": EXAMPLE_ID,
                    "type": "appointment.booked",
                    "status": "pending",
                    "attempts": 2,
                    "response_status": 503,
                    "last_error": "answered 503",
                    "next_attempt_at": "2027-03-02T13:05:00Z",
                    "created_at": "2027-03-02T13:00:00Z",
                    "ended_at": None,
                }
            ]
        },
    )

    id: str
    event_id: str
    type: str
    status: DeliveryStatus
    attempts: int
    response_status: int | None
    last_error: str | None
    next_attempt_at: Instant | None
    created_at: Instant
    ended_at: Instant | None


class DeliveryPage(Page[DeliveryOut]):
    """One page of deliveries, the newest first."""


class DeliveryQuery(PageQuery):
    """By status."""

    status: DeliveryStatus | None = None


class DeliveryPath(Path):
    """Which delivery."""

    delivery_id: Id


class WebhookDeliveryPath(WebhookPath, DeliveryPath):
    """Which delivery to which endpoint."""


@webhooks.post("/webhooks", summary="Be told what happens", responses={201: CreatedWebhook})
@allow("dispatcher")
def create(body: NewWebhook) -> Response:
    """Of what happens from now on. An address that is not public is 422 `forbidden_url`; `secret` is shown this
    once."""
    row, secret = webhook_endpoints.create(
        context.session(),
        context.settings(),
        _organization_id(),
        body.url,
        body.events or [],
        _by(),
        context.now(),
    )
    location = f"/v1/webhooks/{row.id}"
    return answer(CreatedWebhook.of(row, secret=secret), 201, version=row.version, location=location)


@webhooks.get("/webhooks", summary="List webhooks", responses={200: WebhookPage})
@allow("dispatcher")
def read_all(query: PageQuery) -> Response:
    """Without their secrets."""
    wanted = webhook_endpoints.endpoints_of(_organization_id())
    rows, cursor = paginate(context.session(), wanted, query, by=[col(WebhookEndpoint.id)])
    return answer(page_of(WebhookPage, [WebhookOut.of(row) for row in rows], cursor))


@webhooks.get("/webhooks/<webhook_id>", summary="Read a webhook", responses={200: WebhookOut})
@allow("dispatcher")
def read(path: WebhookPath) -> Response:
    """Without its secret."""
    return _answer(_endpoint(path))


@webhooks.patch("/webhooks/<webhook_id>", summary="Change a webhook", responses={200: WebhookOut})
@allow("dispatcher")
def change(path: WebhookPath, body: WebhookChanges) -> Response:
    """`disabled: false` enables one that was disabled; what happened meanwhile is not sent."""
    changes = webhook_endpoints.require_allowed(context.settings(), body.changes())
    row = _endpoint(path, to_change=True)
    require_match(row.version, required=False)
    webhook_endpoints.change(context.session(), row, changes, _by(), context.now())
    return _answer(row)


@webhooks.delete("/webhooks/<webhook_id>", summary="Delete a webhook", responses={200: WebhookOut})
@allow("dispatcher")
def delete(path: WebhookPath) -> Response:
    """With its deliveries, also those that were still to come."""
    row = _endpoint(path, to_change=True)
    shown = WebhookOut.of(row)
    webhook_endpoints.remove(context.session(), row, _by(), context.now())
    return answer(shown)


@webhooks.get(
    "/webhooks/<webhook_id>/deliveries", summary="List a webhook's deliveries", responses={200: DeliveryPage}
)
@allow("dispatcher")
def read_deliveries(path: WebhookPath, query: DeliveryQuery) -> Response:
    """The newest first, for as long as they are kept."""
    wanted = webhook_endpoints.deliveries_to(_endpoint(path), query.status)
    rows, cursor = paginate(context.session(), wanted, query, by=[col(WebhookDelivery.id)], newest_first=True)
    return answer(page_of(DeliveryPage, rows, cursor))


@webhooks.post(
    "/webhooks/<webhook_id>/deliveries/<delivery_id>/redeliver",
    summary="Send it again",
    responses={200: DeliveryOut},
)
@allow("dispatcher")
def redeliver(path: WebhookDeliveryPath) -> Response:
    """Whatever became of it: with the same id and body, by the schedule from its beginning."""
    return _sent_again(path.delivery_id, path.webhook_id)


@webhooks.post(
    "/webhooks/deliveries/<delivery_id>/redeliver",
    summary="Send it again, whichever webhook it is of",
    responses={200: DeliveryOut},
)
@allow("dispatcher")
def redeliver_by_id(path: DeliveryPath) -> Response:
    """The same without the webhook's id."""
    return _sent_again(path.delivery_id)


def _sent_again(delivery_id: str, webhook_id: str | None = None) -> Response:
    session, principal = context.session(), context.principal()
    endpoint, row = delivery_of(session, principal, delivery_id, webhook_id)
    webhook_endpoints.redeliver(session, endpoint, row, context.now())
    return answer(DeliveryOut.model_validate(row), version=row.version)


def _by() -> Actor:
    return actor_of(context.principal())


def _organization_id() -> str:
    """A dispatcher's key belongs to one."""
    organization_id = context.principal().organization_id
    assert organization_id is not None
    return organization_id


def _endpoint(path: WebhookPath, *, to_change: bool = False) -> WebhookEndpoint:
    return owned(context.session(), context.principal(), WebhookEndpoint, path.webhook_id, change=to_change)


def _answer(row: WebhookEndpoint) -> Response:
    return answer(WebhookOut.of(row), version=row.version)
