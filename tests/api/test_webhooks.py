"""Webhooks over HTTP: who may have them, what is told, what a dispatcher sees of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from dispatch.delivering import Deliverer
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from dispatch.settings import Settings
from dispatch.webhook import EventType
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme
from tests.support.client import ApiClient
from tests.support.clock import FakeClock
from tests.support.gateways import running
from tests.support.webhooks import Arrived, Receiver

URL = "https://93.184.215.14/hooks"
TOMORROW = {"from": "2027-03-03", "to": "2027-03-03"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As everywhere, and webhooks may go to 127.0.0.1."""
    return settings.model_copy(update={"webhook_allow": (ip_network("127.0.0.1/32"),)})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    with running(server):
        yield server


@pytest.fixture
def deliver(engine: Engine, settings: Settings, clock: FakeClock) -> Iterator[Callable[[], int]]:
    """Sends what is due, as the worker does."""
    deliverer = Deliverer(engine, settings, clock)
    yield deliverer.send_due
    deliverer.close()


@pytest.fixture
def rival(session: Session, clock: FakeClock) -> str:
    """A dispatcher's key of another organization."""
    other = create_organization(
        session, slug="rival", name="Rival", currency="USD", time_zone="UTC", now=clock()
    )
    _, key = issue_key(session, "dispatcher", organization_id=other.id, now=clock())
    session.commit()
    return key


def hook(client: ApiClient, key: str, url: str = URL, **members: Any) -> Any:
    return client.create("/v1/webhooks", {"url": url} | members, key=key)


# Endpoints


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(client: ApiClient, dispatcher: str) -> None:
    made = hook(client, dispatcher, events=["appointment.booked", "offer.sent", "appointment.booked"])

    read = client.call("GET", f"/v1/webhooks/{made['id']}", key=dispatcher)
    listed = client.read("/v1/webhooks", key=dispatcher)
    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["events"]) == (URL, ["appointment.booked", "offer.sent"])
    assert (made["disabled"], made["failing_since"]) == (False, None)
    assert listed == {"items": [read.get_json()], "next_cursor": None}
    assert read.get_json() == {name: value for name, value in made.items() if name != "secret"}
    assert read.headers["ETag"]
    assert made["secret"] not in read.text


@pytest.mark.parametrize("members", [{}, {"events": None}, {"events": []}])
def test_one_that_names_no_events_wants_all(
    client: ApiClient, dispatcher: str, members: dict[str, Any]
) -> None:
    assert hook(client, dispatcher, **members)["events"] is None


def test_an_unknown_type_is_refused_with_the_list_of_those_that_are_known(
    client: ApiClient, dispatcher: str
) -> None:
    for events in (["appointment.pinned"], ["appointment.booked", "*"], [""]):
        response = client.call("POST", "/v1/webhooks", {"url": URL, "events": events}, key=dispatcher)

        problem = response.get_json(force=True)
        assert response.status_code == 422
        assert all(known in problem["errors"][0]["message"] for known in EventType)


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.215.14/hooks",
        "https://user:pw@93.184.215.14/",
        "https://127.0.0.2/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://metadata.google.internal/",
        "ftp://93.184.215.14/",
        "not a url",
    ],
)
def test_a_url_that_leads_elsewhere_than_to_the_internet_is_forbidden(
    client: ApiClient, dispatcher: str, url: str
) -> None:
    made = hook(client, dispatcher)

    for response in (
        client.call("POST", "/v1/webhooks", {"url": url}, key=dispatcher),
        client.call("PATCH", f"/v1/webhooks/{made['id']}", {"url": url}, key=dispatcher),
    ):
        problem = response.get_json(force=True)
        assert (response.status_code, problem["code"]) == (422, "forbidden_url")
        assert problem["errors"][0]["field"] == "url"
    assert [item["url"] for item in client.read("/v1/webhooks", key=dispatcher)["items"]] == [URL]


def test_networks_that_the_installation_allows_may_be_named(
    client: ApiClient, dispatcher: str, receiver: Receiver
) -> None:
    assert hook(client, dispatcher, receiver.url)["url"] == receiver.url


def test_a_webhook_is_changed_disabled_enabled_and_deleted(client: ApiClient, dispatcher: str) -> None:
    path = f"/v1/webhooks/{hook(client, dispatcher, events=['offer.sent'])['id']}"

    changed = client.change(path, {"url": f"{URL}/2", "events": None}, key=dispatcher)
    disabled = client.change(path, {"disabled": True}, key=dispatcher)
    enabled = client.change(path, {"disabled": False}, key=dispatcher)
    stale = client.call("PATCH", path, {"disabled": True}, key=dispatcher, if_match='"v1"')
    cleared = client.call("PATCH", path, {"url": None}, key=dispatcher)
    deleted = client.call("DELETE", path, key=dispatcher)

    assert (changed["url"], changed["events"]) == (f"{URL}/2", None)
    assert (disabled["disabled"], disabled["disabled_why"]) == (True, "dispatcher")
    assert disabled["disabled_at"] == "2027-03-02T13:00:00Z"
    assert (enabled["disabled"], enabled["disabled_why"], enabled["disabled_at"]) == (False, None, None)
    assert (stale.status_code, cleared.status_code, deleted.status_code) == (412, 422, 200)
    assert client.call("GET", path, key=dispatcher).status_code == 404
    assert client.call("DELETE", path, key=dispatcher).status_code == 404


def test_who_names_changes_and_deletes_a_webhook_is_in_the_audit_without_its_address(
    client: ApiClient, dispatcher: str
) -> None:
    webhook_id = hook(client, dispatcher, events=["offer.sent"])["id"]
    client.change(f"/v1/webhooks/{webhook_id}", {"events": None}, key=dispatcher)
    client.call("DELETE", f"/v1/webhooks/{webhook_id}", key=dispatcher)

    entries = client.read("/v1/audit", key=dispatcher, subject_id=webhook_id)["items"]

    assert [entry["type"] for entry in entries] == ["webhook.removed", "webhook.changed", "webhook.added"]
    assert {entry["by"]["role"] for entry in entries} == {"dispatcher"}
    assert entries[1]["before"]["events"] == ["offer.sent"]
    assert URL not in str(entries)


def test_an_organization_has_twenty_at_most(client: ApiClient, dispatcher: str) -> None:
    for _ in range(20):
        hook(client, dispatcher)

    response = client.call("POST", "/v1/webhooks", {"url": URL}, key=dispatcher)

    assert (response.status_code, response.get_json(force=True)["code"]) == (409, "too_many_webhooks")


def test_the_same_secret_is_answered_to_the_same_idempotency_key(client: ApiClient, dispatcher: str) -> None:
    answers = [
        client.create("/v1/webhooks", {"url": URL}, key=dispatcher, idempotency_key="once") for _ in range(2)
    ]

    assert answers[0] == answers[1]
    assert len(client.read("/v1/webhooks", key=dispatcher)["items"]) == 1


# Who may


def routes(webhook_id: str, delivery_id: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/v1/webhooks/{webhook_id}", None),
        ("PATCH", f"/v1/webhooks/{webhook_id}", {"disabled": True}),
        ("DELETE", f"/v1/webhooks/{webhook_id}", None),
        ("GET", f"/v1/webhooks/{webhook_id}/deliveries", None),
        ("POST", f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", None),
        ("POST", f"/v1/webhooks/deliveries/{delivery_id}/redeliver", None),
    ]


def test_webhooks_are_for_dispatchers_alone(
    acme: Acme, client: ApiClient, session: Session, clock: FakeClock
) -> None:
    made = hook(client, acme.dispatcher)
    registered = acme.request("Casey Customer", CUSTOMERS)
    (delivery,) = deliveries(client, acme.dispatcher, made)
    organization_id = registered_organization(session)
    _, integration = issue_key(session, "integration", organization_id=organization_id, now=clock())
    session.commit()
    calls = [
        ("POST", "/v1/webhooks", {"url": URL}),
        ("GET", "/v1/webhooks", None),
        *routes(made["id"], delivery["id"]),
    ]

    for method, path, sent in calls:
        statuses = [
            client.call(method, path, sent, key=key).status_code
            for key in (None, integration, acme.ada_key, registered["manage_token"])
        ]
        assert statuses == [401, 403, 403, 403], (method, path)


def registered_organization(session: Session) -> str:
    from dispatch.organization import organization_by_slug

    return organization_by_slug(session, "acme").id


def test_another_organization_finds_nothing(acme: Acme, client: ApiClient, rival: str) -> None:
    made = hook(client, acme.dispatcher)
    theirs = hook(client, rival)
    acme.request("Casey Customer", CUSTOMERS)
    (delivery,) = deliveries(client, acme.dispatcher, made)

    for method, path, sent in routes(made["id"], delivery["id"]):
        assert client.call(method, path, sent, key=rival).status_code == 404, (method, path)

    crossed = f"/v1/webhooks/{theirs['id']}/deliveries/{delivery['id']}/redeliver"
    assert client.call("POST", crossed, key=rival).status_code == 404
    assert client.call("POST", crossed, key=acme.dispatcher).status_code == 404
    assert [item["id"] for item in client.read("/v1/webhooks", key=rival)["items"]] == [theirs["id"]]
    assert deliveries(client, rival, theirs) == []
    assert deliveries(client, acme.dispatcher, made) == [delivery]


def deliveries(client: ApiClient, key: str, made: Any, **query: Any) -> Any:
    return client.read(f"/v1/webhooks/{made['id']}/deliveries", key=key, **query)["items"]


# Deliveries


def test_deliveries_are_listed_and_sent_again(
    acme: Acme, receiver: Receiver, deliver: Callable[[], int]
) -> None:
    client, key = acme.client, acme.dispatcher
    receiver.behaves = lambda _id, times: 503 if times == 1 else 200
    made = hook(client, key, receiver.url, events=["request.created"])
    acme.request("Casey Customer", CUSTOMERS)
    (new,) = deliveries(client, key, made)

    deliver()
    (failed,) = deliveries(client, key, made, status="pending")
    again = f"/v1/webhooks/{made['id']}/deliveries/{failed['id']}/redeliver"
    asked = client.act(again, key=key)
    taken = deliver()
    (delivered,) = deliveries(client, key, made, status="delivered")
    client.act(f"/v1/webhooks/deliveries/{failed['id']}/redeliver", key=key)
    deliver()

    assert (new["status"], new["attempts"], new["type"]) == ("pending", 0, "request.created")
    assert (failed["attempts"], failed["response_status"], failed["last_error"]) == (1, 503, "answered 503")
    assert "2027-03-02T13:00:04" <= failed["next_attempt_at"] <= "2027-03-02T13:00:06Z"
    assert (asked["status"], asked["attempts"], asked["next_attempt_at"]) == (
        "pending",
        0,
        "2027-03-02T13:00:00Z",
    )
    assert taken == 1
    assert (delivered["attempts"], delivered["response_status"]) == (1, 200)
    assert (delivered["last_error"], delivered["next_attempt_at"]) == (None, None)
    assert delivered["ended_at"] == "2027-03-02T13:00:00Z"
    assert [arrived.id for arrived in receiver.arrived] == [new["event_id"]] * 3
    assert len({arrived.content for arrived in receiver.arrived}) == 1
    assert all(arrived.is_signed_by(made["secret"]) for arrived in receiver.arrived)


def test_deliveries_are_paged_the_newest_first(acme: Acme) -> None:
    client, key = acme.client, acme.dispatcher
    made = hook(client, key)
    for name in ("Casey", "Drew", "Eve"):
        acme.request(name, CUSTOMERS)
        acme.clock.advance(seconds=1)
    path = f"/v1/webhooks/{made['id']}/deliveries"

    first = client.read(path, key=key, limit=2)
    rest = client.read(path, key=key, limit=2, cursor=first["next_cursor"])

    seen = [item["created_at"] for item in first["items"] + rest["items"]]
    assert seen == sorted(seen, reverse=True)
    assert (len(seen), rest["next_cursor"]) == (3, None)


def test_what_is_disabled_is_sent_nothing_again_until_it_is_enabled(
    acme: Acme, receiver: Receiver, deliver: Callable[[], int]
) -> None:
    client, key = acme.client, acme.dispatcher
    receiver.behaves = lambda _id, times: 410 if times == 1 else 200
    made = hook(client, key, receiver.url)
    acme.request("Casey Customer", CUSTOMERS)
    deliver()
    (failed,) = deliveries(client, key, made, status="failed")
    path = f"/v1/webhooks/{made['id']}"
    again = f"{path}/deliveries/{failed['id']}/redeliver"

    gone = client.read(path, key=key)
    refused = client.call("POST", again, key=key)
    client.change(path, {"disabled": False}, key=key)
    client.act(again, key=key)

    assert (gone["disabled"], gone["disabled_why"]) == (True, "gone")
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (409, "invalid_state")
    assert deliver() == 1


# What is told


def test_a_day_tells_of_every_type_in_the_form_of_the_api(
    acme: Acme, receiver: Receiver, deliver: Callable[[], int]
) -> None:
    client, key, clock = acme.client, acme.dispatcher, acme.clock
    made = hook(client, key, receiver.url)
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")

    casey = acme.request("Casey Customer", CUSTOMERS)
    request_id = casey["service_request"]["id"]
    (created,) = told(receiver, deliver, "request.created")
    assert_shown(created["service_request"], client.read(f"/v1/service-requests/{request_id}", key=key))
    booked = acme.book(casey, acme.slots(casey, **TOMORROW)["items"][0])
    visit = booked["appointment"]["id"]
    (told_of_booking,) = told(receiver, deliver, "appointment.booked")
    assert_whole(told_of_booking["appointment"], acme, visit)
    assert told_of_booking["appointment"]["technician"]["name"] == "Ada Lovelace"
    assert told_of_booking["by"] == "customer"
    other = acme.slots(casey, **TOMORROW)["items"][-1]
    client.act(f"/v1/appointments/{visit}/reschedule", {"slot_id": other["slot_id"]}, key=key)
    (moved,) = told(receiver, deliver, "appointment.rescheduled")
    assert moved["appointment"]["arrival_window"] == other["arrival_window"] == moved["after"]
    expired = acme.offer(visit, expires_in_s=600)
    (sent,) = told(receiver, deliver, "offer.sent")
    assert_shown(sent["offer"], client.read(f"/v1/offers/{expired['id']}", key=key))
    clock.advance(minutes=11)
    acme.worker()
    (over,) = told(receiver, deliver, "offer.expired")
    assert (over["by"], over["offer"]["id"], over["offer"]["status"]) == ("system", expired["id"], "expired")
    (nobody,) = told(receiver, deliver, "request.unfilled")
    assert nobody["service_request_id"] == request_id
    acme.offer(visit)
    (planned,) = told(receiver, deliver, "appointment.scheduled")
    assert planned["appointment"]["status"] == "scheduled"
    acme.accept_all()
    dispatched = told(receiver, deliver, "appointment.dispatched")
    assert_whole(dispatched[0]["appointment"], acme, visit)
    client.act(f"/v1/appointments/{visit}/late", {"by_s": 1800}, key=acme.ada_key)
    (late,) = told(receiver, deliver, "appointment.late")
    assert late["after"]["by_s"] == 1800
    drew = acme.request("Drew Neighbour", NEIGHBOURS)
    acme.book(drew, acme.slots(drew, **TOMORROW)["items"][0])
    client.act(
        f"/v1/offers/{acme.offer(drew['appointment']['id'])['id']}/decline",
        {"reason": "Too far."},
        key=acme.ada_key,
    )
    (no,) = told(receiver, deliver, "offer.declined")
    assert (no["reason"], no["offer"]["status"]) == ("Too far.", "declined")
    client.act(f"/v1/appointments/{drew['appointment']['id']}/cancel", {"reason": "Sold."}, key=key)
    (cancelled,) = told(receiver, deliver, "appointment.cancelled")
    assert (cancelled["reason"], cancelled["appointment"]["status"]) == ("Sold.", "cancelled")
    clock.move_to(datetime.fromisoformat(other["arrival_window"]["start"]).astimezone(UTC))
    for status in ("en_route", "on_site", "completed"):
        acme.progress(visit, status)
    rating = {"csat": 5, "nps": 9, "comment": "Quick."}
    client.create(f"/v1/track/{booked['tracking_token']}/feedback", rating)
    (rated,) = told(receiver, deliver, "feedback.received")
    assert rated["feedback"] == rating | {"ces": None}
    bodies = [one.body for one in arrived(receiver, deliver)]
    assert {body["type"] for body in bodies} == set(EventType) - {"appointment.cannot_complete"}
    assert {body["data"]["appointment_id"] for body in bodies} == {visit, drew["appointment"]["id"]}
    assert all(one.id == one.body["data"]["event_id"] for one in receiver.arrived)
    assert all(one.is_signed_by(made["secret"]) for one in receiver.arrived)
    whole = b"".join(one.content for one in receiver.arrived).decode()
    secrets = [booked["tracking_token"], casey["manage_token"], key, acme.ada_key, made["secret"]]
    of_customers = ["Casey", "2125550123", CUSTOMERS["address"], "Elm Street"]
    assert [found for found in secrets + of_customers if found in whole] == []


def arrived(receiver: Receiver, deliver: Callable[[], int]) -> list[Arrived]:
    deliver()
    return list(receiver.arrived)


def told(receiver: Receiver, deliver: Callable[[], int], *types: str) -> list[Any]:
    """The data of what has come of these types."""
    return [one.body["data"] for one in arrived(receiver, deliver) if one.body["type"] in types]


def assert_shown(sent: dict[str, Any], read: dict[str, Any]) -> None:
    """Each member is as the API shows it."""
    assert sent == {name: read[name] for name in sent}


def assert_whole(sent: dict[str, Any], acme: Acme, appointment_id: str) -> None:
    """All that the API shows to dispatchers of an appointment, but for its events."""
    read = acme.client.read(f"/v1/appointments/{appointment_id}", key=acme.dispatcher)
    assert sent == {name: value for name, value in read.items() if name != "events"}
