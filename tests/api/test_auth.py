"""Who is let in: by a key, or by the cookie of a browser session with its token."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask, Response
from flask_openapi.openapi import OpenAPI
from sqlmodel import Session

from api import context
from api.auth import (
    COOKIE,
    PUBLIC,
    access_of,
    allow,
    await_uses,
    browser_session,
    end_browser_session,
    start_browser_session,
)
from dispatch.keys import ApiKey, find_key, revoke
from tests.api.things import body
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

LONG_KEY = "a key of thirty-two characters or more"


@pytest.fixture
def browser(app: Flask, thing_client: ApiClient) -> ApiClient:
    """A client of an application with pages that open and end a session."""

    @allow("dispatcher", idempotent=False)
    def enter() -> Response:
        response = Response()
        response.set_data(start_browser_session(response, context.principal()))
        return response

    def leave() -> Response:
        response = Response("left")
        end_browser_session(response)
        return response

    def whoami() -> str:
        opened = browser_session()
        return opened.csrf_token if opened else "nobody"

    app.add_url_rule("/enter", view_func=enter, methods=["POST"])
    app.add_url_rule("/leave", view_func=leave, methods=["POST"])
    app.add_url_rule("/whoami", view_func=whoami)
    return thing_client


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer fd_nonsense",
        "Basic eDp5",
        "Bearer fd_\x7f",
        "fd_x",
    ],
)
def test_a_bad_key_is_401_with_the_scheme_that_is_wanted(thing_client: ApiClient, header: str) -> None:
    for path in ("/v1/things", "/v1/public-things"):
        response = thing_client.call("POST", path, body(), headers={"Authorization": header})

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_no_key_is_401_except_where_anyone_may_call(thing_client: ApiClient) -> None:
    statuses = [
        thing_client.call("POST", path, body()).status_code for path in ("/v1/things", "/v1/public-things")
    ]

    assert statuses == [401, 201]


def test_a_role_that_may_never_is_403(thing_client: ApiClient, new_key: Callable[[str], str]) -> None:
    integration = new_key("integration")

    statuses = [
        thing_client.call(method, "/v1/things", sent, key=integration).status_code
        for method, sent in (("POST", body()), ("GET", None))
    ]

    assert statuses == [201, 403]


def test_a_revoked_key_opens_nothing(
    thing_client: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    found = find_key(session, dispatcher)
    assert found is not None
    revoke(session, found, clock.now())
    session.commit()

    response = thing_client.call("GET", "/v1/things", key=dispatcher)

    assert response.status_code == 401


def test_using_a_key_is_noted_to_the_minute(
    thing_client: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    def last_used() -> object:
        await_uses()
        session.rollback()
        found = find_key(session, dispatcher)
        assert found is not None
        noted = found.last_used_at
        session.rollback()
        return noted

    first = clock.now()
    thing_client.read("/v1/things", key=dispatcher)
    noted = last_used()
    clock.advance(seconds=30)
    thing_client.read("/v1/things", key=dispatcher)
    noted_soon_after = last_used()
    second = clock.advance(minutes=1)
    thing_client.read("/v1/things", key=dispatcher)

    assert (noted, noted_soon_after, last_used()) == (first, first, second)


def test_rotating_exchanges_the_key(client: ApiClient, dispatcher: str) -> None:
    answer = client.act("/v1/keys/rotate", key=dispatcher)

    old = client.call("POST", "/v1/keys/rotate", key=dispatcher)
    new = client.call("POST", "/v1/keys/rotate", key=answer["api_key"])

    assert answer["key"]["prefix"] == answer["api_key"][:11]
    assert (old.status_code, new.status_code) == (401, 200)


def test_a_lost_new_key_can_be_had_again_with_the_old_one_and_its_idempotency_key(
    client: ApiClient, dispatcher: str
) -> None:
    first = client.act("/v1/keys/rotate", key=dispatcher, idempotency_key=LONG_KEY)

    again = client.call("POST", "/v1/keys/rotate", key=dispatcher, idempotency_key=LONG_KEY)
    guessed = client.call("POST", "/v1/keys/rotate", key=dispatcher, idempotency_key="k" * 32)

    assert (again.status_code, again.get_json()) == (200, first)
    assert guessed.status_code == 401


def test_a_browser_session_is_let_in_where_its_key_is(browser: ApiClient, dispatcher: str) -> None:
    entered = browser.call("POST", "/enter", key=dispatcher)

    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert dispatcher not in cookie
    assert browser.call("GET", "/v1/things").status_code == 200
    assert browser.call("GET", "/whoami").text == entered.text


def test_what_changes_something_needs_the_sessions_token(browser: ApiClient, dispatcher: str) -> None:
    token = browser.call("POST", "/enter", key=dispatcher).text

    answers = [
        browser.call("POST", "/v1/things", body(), headers=headers)
        for headers in ({}, {"X-CSRF-Token": "another"}, {"X-CSRF-Token": token})
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 201]
    assert answers[0].get_json(force=True)["code"] == "csrf_failed"


def test_a_session_ends_when_left_with_its_key_or_after_twelve_hours(
    browser: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    browser.call("POST", "/enter", key=dispatcher)
    cookie = browser.get_cookie(COOKIE)
    assert cookie is not None
    browser.call("POST", "/leave")
    after_leaving = browser.call("GET", "/v1/things").status_code
    browser.set_cookie(COOKIE, cookie.value)
    found = find_key(session, dispatcher)
    assert found is not None
    revoke(session, found, clock.now())
    session.commit()

    after_revoking = browser.call("GET", "/v1/things").status_code

    assert (after_leaving, after_revoking) == (401, 401)


def test_a_forged_cookie_is_nobody(browser: ApiClient) -> None:
    browser.set_cookie(COOKIE, "forged")

    assert browser.call("GET", "/v1/things").status_code == 401
    assert browser.call("POST", "/v1/public-things", body()).status_code == 201


def test_every_route_under_v1_says_who_may_call(app: OpenAPI) -> None:
    declared = {
        rule.rule: access_of(app.view_functions[rule.endpoint])
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
    }

    assert declared
    assert all(access is not None and access.roles for access in declared.values())


def test_a_declaration_stays_with_its_view() -> None:
    @allow(PUBLIC, "dispatcher", limit="1/hour")
    def view() -> str:
        return ""

    access = access_of(view)

    assert access is not None
    assert (access.public, access.limit, access.writes) == (True, "1/hour", False)


def test_a_key_with_an_end_opens_until_then(clock: FakeClock) -> None:
    end = clock.now() + timedelta(hours=1)
    key = ApiKey(prefix="fd_x", hash="", role="dispatcher", created_at=clock.now(), expires_at=end)

    assert key.opens(end - timedelta(seconds=1))
    assert not key.opens(end)
