"""A POST that is sent twice happens once, and is answered twice."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask_openapi.openapi import OpenAPI
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch.database import open_session
from dispatch.errors import IdempotencyInFlight
from dispatch.idempotency import (
    IdempotencyRecord,
    StoredAnswer,
    call_of,
    canonical,
    forget_expired,
    recall,
    remember,
    running,
)
from dispatch.ids import new_id
from dispatch.keys import ANONYMOUS, Principal
from tests.api.things import SEEN, body, things_named
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

LONG_KEY = "a key of thirty-two characters or more"
SECRET = "s" * 40


def test_the_same_request_again_is_answered_again_and_happens_once(
    thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    first = thing_client.call("POST", "/v1/things", body(), key=dispatcher, idempotency_key="k")

    second = thing_client.call("POST", "/v1/things", body(), key=dispatcher, idempotency_key="k")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.data == first.data
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert things_named(session, "thing") == 1


def test_bodies_are_compared_as_json_values(thing_client: ApiClient, dispatcher: str) -> None:
    sent = [
        '{"name": "thing", "ratio": 2}',
        '{"ratio":2.0,"name":"thing"}',
        '{"ratio": 20e-1, "name": "th\\u0069ng"}',
    ]

    answers = [
        thing_client.post(
            "/v1/things",
            data=text,
            content_type="application/json",
            headers={"Authorization": f"Bearer {dispatcher}", "Idempotency-Key": "k"},
        )
        for text in sent
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true"]


def test_the_same_key_with_another_body_is_refused(thing_client: ApiClient, dispatcher: str) -> None:
    thing_client.create("/v1/things", body(), key=dispatcher, idempotency_key="k")

    response = thing_client.call(
        "POST", "/v1/things", body(name="another thing"), key=dispatcher, idempotency_key="k"
    )

    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (422, "idempotency_key_reused")
    assert problem["errors"][0]["field"] == "Idempotency-Key"


def test_another_caller_or_another_route_has_its_own_keys(
    thing_client: ApiClient, dispatcher: str, new_key: Callable[[str], str], session: Session
) -> None:
    thing_client.create("/v1/things", body(), key=dispatcher, idempotency_key="k")

    other_caller = thing_client.call(
        "POST", "/v1/things", body(), key=new_key("integration"), idempotency_key="k"
    )
    other_route = thing_client.call(
        "POST", f"/v1/things/{new_id()}/cancel", {}, key=dispatcher, idempotency_key="k"
    )

    assert "Idempotent-Replayed" not in other_caller.headers
    assert "Idempotent-Replayed" not in other_route.headers
    assert things_named(session, "thing") == 2


def test_after_a_day_the_key_is_free(
    thing_client: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    thing_client.create("/v1/things", body(), key=dispatcher, idempotency_key="k")
    clock.advance(hours=24)

    response = thing_client.call("POST", "/v1/things", body(), key=dispatcher, idempotency_key="k")

    assert response.status_code == 201
    assert "Idempotent-Replayed" not in response.headers
    assert things_named(session, "thing") == 2


def test_a_refusal_by_a_rule_is_kept_without_what_was_undone(
    thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    first = thing_client.call("POST", "/v1/refused-things", body(), key=dispatcher, idempotency_key="k")

    second = thing_client.call("POST", "/v1/refused-things", body(), key=dispatcher, idempotency_key="k")

    assert (first.status_code, second.status_code) == (409, 409)
    assert (second.data, second.mimetype) == (first.data, first.mimetype)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert SEEN == ["refused"]
    assert things_named(session, "thing") == 0


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/v1/things", {"name": ""}, 422),
        ("/v1/things", None, 415),
        ("/v1/broken-things", body(), 500),
    ],
)
def test_what_was_not_carried_out_is_not_kept(
    thing_client: ApiClient, dispatcher: str, session: Session, path: str, sent: object, status: int
) -> None:
    answers = [thing_client.call("POST", path, sent, key=dispatcher, idempotency_key="k") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, status]
    assert all("Idempotent-Replayed" not in answer.headers for answer in answers)
    assert session.exec(select(IdempotencyRecord)).all() == []


def test_a_refused_body_may_be_mended_under_the_same_key(thing_client: ApiClient, dispatcher: str) -> None:
    thing_client.call("POST", "/v1/things", {"name": ""}, key=dispatcher, idempotency_key="k")

    mended = thing_client.call("POST", "/v1/things", body(), key=dispatcher, idempotency_key="k")

    assert mended.status_code == 201


def test_a_public_caller_needs_a_key_too_long_to_guess(thing_client: ApiClient) -> None:
    answers = [
        thing_client.call("POST", "/v1/public-things", body(), idempotency_key=key)
        for key in ("k" * 31, LONG_KEY, LONG_KEY)
    ]

    assert [answer.status_code for answer in answers] == [422, 201, 201]
    assert answers[2].data == answers[1].data


def test_public_callers_that_choose_the_same_key_do_not_meet(
    thing_client: ApiClient, session: Session
) -> None:
    thing_client.create("/v1/public-things", body(name="mine"), idempotency_key=LONG_KEY)

    other = thing_client.call("POST", "/v1/public-things", body(name="yours"), idempotency_key=LONG_KEY)

    assert other.status_code == 201
    assert "Idempotent-Replayed" not in other.headers
    assert things_named(session, "mine") == things_named(session, "yours") == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "clé"])
def test_a_key_that_is_none_is_refused(thing_client: ApiClient, dispatcher: str, key: str) -> None:
    response = thing_client.call("POST", "/v1/things", body(), key=dispatcher, idempotency_key=key)

    assert response.status_code == 422
    assert response.get_json(force=True)["errors"][0]["field"] == "Idempotency-Key"


def test_of_two_at_once_one_happens_and_the_other_is_told_or_answered_alike(
    app: OpenAPI, thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    start, answers = threading.Barrier(4), []

    def call() -> None:
        client = app.test_client()
        start.wait()
        headers = {"Authorization": f"Bearer {dispatcher}", "Idempotency-Key": "k"}
        answers.append(client.post("/v1/things", json=body(), headers=headers))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
    assert things_named(session, "thing") == 1


def test_while_the_first_runs_a_second_is_refused(engine: Engine, session: Session) -> None:
    call = call_of(ANONYMOUS, "POST /v1/things", LONG_KEY, {}, SECRET)

    with (
        open_session(engine) as other,
        running(session, call),
        pytest.raises(IdempotencyInFlight),
        running(other, call),
    ):
        pytest.fail("two ran at once")


def test_a_first_that_died_blocks_nobody(engine: Engine, session: Session) -> None:
    call = call_of(ANONYMOUS, "POST /v1/things", LONG_KEY, {}, SECRET)
    with pytest.raises(ZeroDivisionError), open_session(engine) as dying, running(dying, call):
        _ = 1 / 0

    with running(session, call):
        survivor = recall(session, call, FakeClock().now())

    assert survivor is None


def test_the_stored_answer_is_unreadable_without_the_key(session: Session, clock: FakeClock) -> None:
    call = call_of(Principal("dispatcher", key_id="1"), "POST /v1/x", LONG_KEY, {"name": "Ada"}, SECRET)
    remember(session, call, StoredAnswer(201, {}, b'{"api_key": "fd_secret"}'), clock.now())

    record = session.exec(select(IdempotencyRecord)).one()

    stored = repr(record.model_dump())
    assert all(word not in stored for word in ("fd_secret", "Ada", LONG_KEY))
    assert recall(session, call, clock.now()) == StoredAnswer(201, {}, b'{"api_key": "fd_secret"}')


def test_what_is_a_day_old_can_be_swept(session: Session, clock: FakeClock) -> None:
    for key in ("old", "new"):
        call = call_of(Principal("dispatcher", key_id="1"), "POST /v1/x", key, None, SECRET)
        remember(session, call, StoredAnswer(200, {}, b""), clock.now())
        clock.advance(hours=12)

    swept = forget_expired(session, clock.now() + timedelta(seconds=1))

    assert swept == 1
    assert len(session.exec(select(IdempotencyRecord)).all()) == 1


def test_numbers_that_are_equal_are_one_text() -> None:
    assert canonical({"b": [1.0, 2.5], "a": None}) == canonical({"a": None, "b": [1, 2.5]})
    assert canonical({"a": True}) != canonical({"a": 1})
    assert canonical("1") != canonical(1)
