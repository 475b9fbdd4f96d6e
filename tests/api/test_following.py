"""Following a visit live: the stream of one process, and `dispatch serve` with several of them open."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from api import streaming
from api.context import installation
from api.streaming import streams_of
from dispatch.settings import Settings
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme
from tests.support.serving import Served, served

DAY = {"from": "2027-03-03", "to": "2027-03-03"}


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit, promised and planned with Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred looks a second."""
    monkeypatch.setattr(streaming, "LOOK_EVERY_S", 0.01)


@pytest.fixture
def follow(acme: Acme, booked: Any, quickly: None) -> Iterator[Callable[[], TestResponse]]:
    """Opens a stream of the visit; all are closed at the end."""
    with ExitStack() as opened:

        def open_() -> TestResponse:
            response = acme.client.get(f"/v1/track/{booked['tracking_token']}/events")
            opened.callback(response.close)
            return response

        yield open_


def events(response: TestResponse) -> Iterator[str]:
    """Each chunk is one event or one comment."""
    return (chunk.decode() for chunk in response.iter_encoded())


def data_of(event: str) -> Any:
    [line] = [line for line in event.splitlines() if line.startswith("data: ")]
    return json.loads(line.removeprefix("data: "))


def test_a_stream_begins_with_what_the_view_shows(
    acme: Acme, booked: Any, follow: Callable[[], TestResponse]
) -> None:
    view = acme.client.call("GET", f"/v1/track/{booked['tracking_token']}")

    response = follow()
    first = next(events(response))

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    for name in ("Cache-Control", "Referrer-Policy", "X-Robots-Tag"):
        assert response.headers[name] == view.headers[name]
    assert first.startswith("retry: 3000\nevent: update\ndata: ")
    assert first.endswith("\n\n")
    assert data_of(first) == view.get_json()


def test_every_change_of_the_view_is_told_and_nothing_else(
    acme: Acme, booked: Any, follow: Callable[[], TestResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.05)
    appointment_id = booked["appointment"]["id"]
    told = events(follow())
    next(told)

    assert next(told) == ": nothing new\n\n"
    acme.client.create(f"/v1/track/{booked['tracking_token']}/messages", {"text": "Hello"})
    assert next(told) == ": nothing new\n\n", "a message changes nothing that the view shows"
    acme.accept(acme.offer(appointment_id)["id"])
    dispatched = data_of(next_update(told))
    acme.clock.move_to(datetime(2027, 3, 3, 14, tzinfo=UTC))
    today = data_of(next_update(told))
    acme.client.act("/v1/technicians/me/duty", {"status": "available"}, key=acme.ada_key)
    acme.progress(appointment_id, "en_route")
    under_way = data_of(next_update(told))
    position = {"lat": 40.705, "lon": -73.991, "recorded_at": acme.clock().isoformat()}
    acme.client.create("/v1/technicians/me/positions", position, key=acme.ada_key)
    located = data_of(next_update(told))

    assert (dispatched["status"], dispatched["eta"]) == ("dispatched", None)
    assert (today["status"], today["eta"] is None) == ("dispatched", False)
    assert (under_way["status"], under_way["position"]) == ("en_route", None)
    assert located["position"] == {"lat": 40.705, "lon": -73.991}


def next_update(told: Iterator[str]) -> str:
    return next(event for event in told if event.startswith("event: update"))


def test_a_stop_that_is_made_before_is_told(
    acme: Acme, follow: Callable[[], TestResponse], booked: Any
) -> None:
    drew = acme.request("Drew", NEIGHBOURS)
    begins = booked["appointment"]["scheduled_start"]
    later = next(s for s in acme.slots(drew, **DAY)["items"] if s["arrival_window"]["start"] > begins)
    second = acme.book(drew, later)
    told = events(acme.client.get(f"/v1/track/{second['tracking_token']}/events"))
    assert data_of(next(told))["stops_before"] == 1

    acme.accept(acme.offer(booked["appointment"]["id"])["id"])
    for status in ("en_route", "on_site", "completed"):
        acme.progress(booked["appointment"]["id"], status)

    assert data_of(next_update(told))["stops_before"] == 0


def test_between_looks_a_stream_holds_no_connection(app: Flask, follow: Callable[[], TestResponse]) -> None:
    told = events(follow())
    with app.app_context():
        pool: Any = installation().engine.pool

    next(told)

    assert pool.checkedout() == 0


def test_a_stream_ends_by_itself(follow: Callable[[], TestResponse], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LONGEST_S", 0.05)

    assert len(list(events(follow()))) == 1


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_stream_ends_with_its_link(
    acme: Acme, booked: Any, follow: Callable[[], TestResponse], how: str
) -> None:
    told = events(follow())
    next(told)

    if how == "revoked":
        path = f"/v1/appointments/{booked['appointment']['id']}/tracking"
        acme.client.call("DELETE", path, key=acme.dispatcher)
    else:
        acme.clock.advance(days=9)

    assert list(told) == []


def test_streams_end_where_the_process_stops(app: Flask, follow: Callable[[], TestResponse]) -> None:
    told = events(follow())
    next(told)

    streams_of(app).end()

    assert list(told) == []
    assert follow().status_code == 503


def test_beyond_the_places_one_is_sent_away_until_one_is_free(
    app: Flask, follow: Callable[[], TestResponse], acme: Acme, booked: Any
) -> None:
    most = 8
    opened = [follow() for _ in range(most)]

    refused = follow()
    opened[0].close()
    again = follow()
    head = acme.client.head(f"/v1/track/{booked['tracking_token']}/events")

    assert {response.status_code for response in opened} == {200}
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (503, "no_stream_free")
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["X-Robots-Tag"] == "noindex"
    assert again.status_code == 200
    assert head.status_code == 503
    opened[1].close()
    for _ in range(3):
        assert acme.client.head(f"/v1/track/{booked['tracking_token']}/events").status_code == 200


# In a process of its own


@pytest.fixture
def tomorrow(acme: Acme) -> list[Any]:
    """Two visits tomorrow by the real clock, which the served process goes by."""
    acme.clock.move_to(datetime.now(UTC))
    day = (acme.clock().astimezone(ZoneInfo("America/New_York")) + timedelta(days=1)).date()
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("America/New_York"))
    acme.shift((noon - timedelta(hours=3)).isoformat(), (noon + timedelta(hours=5)).isoformat())
    visits = []
    for name, place in (("Casey", CUSTOMERS), ("Drew", NEIGHBOURS)):
        asked = acme.request(name, place)
        visits.append(acme.book(asked, acme.slots(asked, **{"from": f"{day}", "to": f"{day}"})["items"][0]))
    return visits


def open_events(server: Served, visit: Any) -> Any:
    address = f"{server.url}/v1/track/{visit['tracking_token']}/events"
    return urllib.request.urlopen(address, timeout=30)  # noqa: S310


def event_of(stream: Any) -> Any:
    """The next update, or None where the stream ends."""
    lines = []
    while line := stream.readline():
        lines.append(line.decode())
        if line == b"\n":
            if any(text.startswith("event: update") for text in lines):
                return data_of("".join(lines))
            lines = []
    return None


def revoke(acme: Acme, visit: Any) -> None:
    path = f"/v1/appointments/{visit['appointment']['id']}/tracking"
    acme.client.call("DELETE", path, key=acme.dispatcher)


def test_a_served_process_follows_and_still_answers_while_every_place_is_taken(
    acme: Acme, tomorrow: list[Any], settings: Settings
) -> None:
    first, second = tomorrow
    with served(settings, "--threads", "4", streams="8") as server, ExitStack() as opened:
        streams = [opened.enter_context(open_events(server, first)) for _ in range(2)]
        begun = [event_of(stream) for stream in streams]

        with pytest.raises(urllib.error.HTTPError) as refused:
            open_events(server, second)
        answered = []
        for _ in range(10):
            address = f"{server.url}/v1/track/{second['tracking_token']}"
            with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310
                answered.append(response.status)
        acme.accept(acme.offer(first["appointment"]["id"])["id"])
        changed = [event_of(stream) for stream in streams]
        revoke(acme, first)
        ended = [event_of(stream) for stream in streams]
        with pytest.raises(urllib.error.HTTPError) as gone:
            open_events(server, first)
        stream = opened.enter_context(open_events(server, second))
        after = event_of(stream)
        took_s = server.stop()

    assert {view["status"] for view in begun} == {"scheduled"}
    assert (refused.value.code, refused.value.headers["Retry-After"]) == (503, "30")
    assert answered == [200] * 10
    assert {view["status"] for view in changed} == {"dispatched"}
    assert ended == [None, None]
    assert gone.value.code == 404
    assert after["status"] == "scheduled"
    assert took_s < 20, "open streams do not hold up a stop"


def test_open_streams_leave_no_transaction_open(
    acme: Acme, tomorrow: list[Any], settings: Settings, app: Flask
) -> None:
    with app.app_context():
        engine = installation().engine
    with served(settings, "--threads", "8") as server, ExitStack() as opened:
        for visit in tomorrow:
            assert event_of(opened.enter_context(open_events(server, visit)))["status"] == "scheduled"

        time.sleep(2.5)
        acme.client.create(f"/v1/track/{tomorrow[0]['tracking_token']}/messages", {"text": "Hello"})
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                lasting = connection.execute(text(IDLE)).scalar_one()
            else:
                # A reader that keeps its snapshot would keep the log from being cut to nothing.
                connection.exec_driver_sql("COMMIT")
                lasting = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]

    assert lasting == 0


IDLE = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND state LIKE 'idle in transaction%' AND now() - state_change > interval '1 second'
"""
