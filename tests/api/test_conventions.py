"""The conventions of the HTTP contract, on a resource made for the purpose."""

import json
from pathlib import Path

import pytest
from sqlmodel import Session

from api import logs
from api.app import create_app
from dispatch.ids import new_id
from dispatch.settings import Settings
from tests.api.things import SEEN, body, things, things_named
from tests.support.client import ApiClient

PROBLEM = "application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "code"}


def test_a_path_that_does_not_exist_is_a_problem(client: ApiClient) -> None:
    response = client.call("GET", "/v1/nothing")

    assert (response.status_code, response.mimetype) == (404, PROBLEM)
    assert set(response.get_json(force=True)) >= MEMBERS


def test_a_wrong_method_says_which_are_allowed(client: ApiClient) -> None:
    response = client.call("DELETE", "/healthz")

    assert (response.status_code, response.mimetype) == (405, PROBLEM)
    assert "GET" in response.headers["Allow"]


def test_a_failure_that_nobody_foresaw_tells_nothing_of_itself(
    thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    response = thing_client.call("POST", "/v1/broken-things", body(), key=dispatcher)

    assert (response.status_code, response.mimetype) == (500, PROBLEM)
    assert "ingredient" not in response.text
    assert things_named(session, "thing") == 0


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  \t"}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"count": "5"}, "count"),
        ({"count": 5.0}, "count"),
        ({"count": True}, "count"),
        ({"count": 10}, "count"),
        ({"count": -1}, "count"),
        ({"ratio": "0.5"}, "ratio"),
        ({"at": "2027-03-09T14:00:00"}, "at"),
        ({"at": "2027-03-09"}, "at"),
        ({"at": "2027-02-30T14:00:00Z"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"at": 0}, "at"),
        ({"at": "0"}, "at"),
        ({"day": "2027-02-29"}, "day"),
        ({"day": "2027-03-09T00:00:00Z"}, "day"),
        ({"day": 20270309}, "day"),
        ({"price": {"amount": 45.5, "currency": "USD"}}, "price.amount"),
        ({"price": {"amount": -1, "currency": "USD"}}, "price.amount"),
        ({"price": {"amount": 1, "currency": "usd"}}, "price.currency"),
        ({"price": 45}, "price"),
        ({"place": {"lat": 91, "lon": 0}}, "place.lat"),
        ({"place": {"lat": 40.7}}, "place"),
        ({"place": {}}, "place"),
        ({"place": {"address": " "}}, "place.address"),
    ],
)
def test_a_refused_member_is_named(
    thing_client: ApiClient, dispatcher: str, members: dict[str, object], field: str
) -> None:
    response = thing_client.call("POST", "/v1/things", body(**members), key=dispatcher)

    problem = response.get_json(force=True)
    assert (response.status_code, response.mimetype) == (422, PROBLEM)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert all(error["message"] for error in problem["errors"])


@pytest.mark.parametrize(
    "sent",
    [
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1, "name": "x"}',
        b"[]",
        b"null",
        b'"{\\"name\\": \\"x\\"}"',
        b"7",
    ],
)
def test_json_that_is_no_thing_is_422(thing_client: ApiClient, dispatcher: str, sent: bytes) -> None:
    response = _send(thing_client, dispatcher, sent, "application/json")

    assert (response.status_code, response.mimetype) == (422, PROBLEM)
    assert response.get_json(force=True)["errors"]


@pytest.mark.parametrize(
    "sent",
    [b"{", b"", b'{"name": NaN}', b'{"name": "\xff"}', b"{'name': 1}", b"[" * 100_000, b'{"name": "x"} x'],
)
def test_what_is_not_json_is_400(thing_client: ApiClient, dispatcher: str, sent: bytes) -> None:
    response = _send(thing_client, dispatcher, sent, "application/json")

    assert (response.status_code, response.mimetype) == (400, PROBLEM)


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_another_media_type_or_none_is_415(
    thing_client: ApiClient, dispatcher: str, media_type: str | None
) -> None:
    response = _send(thing_client, dispatcher, json.dumps(body()).encode(), media_type)

    assert (response.status_code, response.mimetype) == (415, PROBLEM)


def test_a_body_of_more_than_a_mebibyte_is_413(thing_client: ApiClient, dispatcher: str) -> None:
    response = _send(thing_client, dispatcher, b'"' + b"x" * (1 << 20) + b'"', "application/json")

    assert (response.status_code, response.mimetype) == (413, PROBLEM)


def test_who_may_not_call_is_told_so_before_the_body_is_read(thing_client: ApiClient) -> None:
    response = thing_client.post("/v1/things", data=b"{", content_type="text/plain")

    assert response.status_code == 401


def test_an_action_without_a_body_takes_nothing_or_an_empty_object(
    thing_client: ApiClient, dispatcher: str
) -> None:
    path = f"/v1/things/{new_id()}/pin"

    statuses = [
        thing_client.call("POST", path, sent, key=dispatcher, if_match="*").status_code
        for sent in (None, {}, {"a": 1}, [])
    ]

    assert statuses == [200, 200, 422, 422]


def test_a_body_in_which_nothing_is_required_may_be_left_out(
    thing_client: ApiClient, dispatcher: str
) -> None:
    answer = thing_client.act(f"/v1/things/{new_id()}/cancel", key=dispatcher)

    assert answer["name"] == "no reason"


def test_instants_of_any_offset_come_back_in_utc(thing_client: ApiClient, dispatcher: str) -> None:
    sent = body(at="2027-03-09T14:00:00-04:00", day="2027-03-09")

    made = thing_client.create("/v1/things", sent, key=dispatcher)

    assert (made["at"], made["day"]) == ("2027-03-09T18:00:00Z", "2027-03-09")


def test_a_change_holds_what_was_sent_and_null_counts(thing_client: ApiClient, dispatcher: str) -> None:
    path = f"/v1/things/{new_id()}"

    changed = [thing_client.change(path, sent, key=dispatcher)["name"] for sent in ({}, {"reason": None})]

    assert changed == ["", "reason"]


@pytest.mark.parametrize("thing_id", ["1", "x%00y", "01932F6E-7A3B-7CC1-9D3E-5F2A8C4B6E10", "%F0%9F%92%A9"])
def test_a_malformed_id_in_a_path_is_404(thing_client: ApiClient, dispatcher: str, thing_id: str) -> None:
    response = thing_client.call("GET", f"/v1/things/{thing_id}", key=dispatcher)

    assert (response.status_code, response.mimetype) == (404, PROBLEM)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=", "page=2", "currency=%00", "cursor="]
)
def test_a_refused_parameter_is_422(thing_client: ApiClient, dispatcher: str, query: str) -> None:
    response = thing_client.call("GET", f"/v1/things?{query}", key=dispatcher)

    assert (response.status_code, response.mimetype) == (422, PROBLEM)
    assert response.get_json(force=True)["errors"][0]["field"] == query.partition("=")[0]


def test_pages_hold_every_item_once(thing_client: ApiClient, dispatcher: str) -> None:
    made = [
        thing_client.create("/v1/things", body(name=f"thing {n}"), key=dispatcher)["id"] for n in range(5)
    ]

    seen, cursor = [], None
    while True:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = thing_client.read("/v1/things", key=dispatcher, **query)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == made


def test_an_empty_id_in_a_path_is_404_and_leads_nowhere_else(
    thing_client: ApiClient, dispatcher: str
) -> None:
    response = thing_client.call("POST", "/v1/things//pin", key=dispatcher)

    assert (response.status_code, response.mimetype) == (404, "application/problem+json")


@pytest.mark.parametrize("listed", ["appointments", "service-requests"])
def test_dates_that_are_reversed_are_refused(client: ApiClient, dispatcher: str, listed: str) -> None:
    query = {"from": "2027-03-04", "to": "2027-03-03"}

    response = client.call("GET", f"/v1/{listed}", key=dispatcher, query=query)

    assert response.status_code == 422
    assert response.get_json(force=True)["errors"] == [{"field": "to", "message": "must not be before from"}]


def test_a_cursor_continues_only_the_list_that_it_was_given_for(
    thing_client: ApiClient, dispatcher: str
) -> None:
    for n in range(2):
        thing_client.create("/v1/things", body(name=f"thing {n}"), key=dispatcher)
    cursor = thing_client.read("/v1/things", key=dispatcher, limit=1)["next_cursor"]
    altered = [cursor[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if last != cursor[-1]]

    statuses = [
        thing_client.call("GET", "/v1/things", key=dispatcher, query=query).status_code
        for query in (
            {"cursor": cursor},
            {"cursor": "nonsense"},
            {"cursor": cursor, "currency": "USD"},
            *({"cursor": text} for text in altered),
        )
    ]

    assert statuses == [200, 422, 422, *[422] * len(altered)]


def test_an_action_of_the_dispatcher_needs_the_version_that_stands(
    thing_client: ApiClient, dispatcher: str
) -> None:
    path = f"/v1/things/{new_id()}/pin"

    answers = [
        thing_client.call("POST", path, key=dispatcher, if_match=header)
        for header in (None, '"v0"', 'W/"v1"', '"v1"', '"v7", "v1"')
    ]

    assert [answer.status_code for answer in answers] == [428, 412, 412, 200, 200]
    assert [answer.get_json(force=True).get("code") for answer in answers[:2]] == [
        "precondition_required",
        "stale_version",
    ]
    assert answers[3].headers["ETag"] == '"v2"'


def test_a_change_needs_no_version_but_heeds_one(thing_client: ApiClient, dispatcher: str) -> None:
    path = f"/v1/things/{new_id()}"

    statuses = [
        thing_client.call("PATCH", path, {}, key=dispatcher, if_match=header).status_code
        for header in (None, '"v0"', '"v1"')
    ]

    assert statuses == [200, 412, 200]


def test_what_a_refused_request_wrote_is_undone(
    thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    response = thing_client.call("POST", "/v1/refused-things", body(), key=dispatcher)

    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"], problem["by"]) == (409, "too_late", "them")
    assert things_named(session, "thing") == 0


def test_what_comes_after_a_commit_runs_once_it_stands(thing_client: ApiClient, dispatcher: str) -> None:
    thing_client.create("/v1/things", body(name="thing 1"), key=dispatcher)

    assert SEEN == ["thing 1"]


def test_a_transaction_that_lost_to_another_runs_again(
    thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    thing_client.create("/v1/flaky-things", body(), key=dispatcher)

    assert SEEN == ["tried", "tried"]
    assert things_named(session, "thing") == 1


def test_a_get_may_write_only_where_it_says_so(
    thing_client: ApiClient, dispatcher: str, session: Session
) -> None:
    statuses = [
        thing_client.call("GET", f"/v1/{path}", key=dispatcher).status_code
        for path in ("writing-things", "declared-things")
    ]

    assert statuses == [500, 200]
    assert (things_named(session, "thing"), things_named(session, "declared")) == (0, 1)


def test_beyond_the_limit_one_is_told_when_to_come_back(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"rate_limits": True}))
    app.register_api(things)
    client = app.test_client()

    answers = [client.get("/v1/scarce-things") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].mimetype == PROBLEM
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 61


def test_a_database_that_is_away_is_503_with_retry_after(tmp_path: Path) -> None:
    app = create_app(
        Settings(database_url="postgresql://nobody@127.0.0.1:1/away", data_dir=tmp_path, rate_limits=False)
    )

    answers = [
        app.test_client().get("/readyz"),
        app.test_client().post("/v1/keys/rotate", headers={"Authorization": "Bearer fd_x"}),
    ]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(answer.mimetype == PROBLEM and answer.headers["Retry-After"] for answer in answers)


def test_the_process_says_that_it_lives_and_that_it_can_serve(client: ApiClient) -> None:
    assert client.read("/healthz") == {"status": "ok"}
    assert client.read("/readyz") == {"status": "ok"}


def test_every_answer_carries_the_security_headers(client: ApiClient) -> None:
    response = client.call("GET", "/v1/nothing")

    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"


def test_a_route_that_does_not_say_who_may_call_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask import Blueprint

    from api import docs

    forgotten = Blueprint("forgotten", __name__)
    forgotten.add_url_rule("/v1/forgotten", view_func=lambda: "")
    monkeypatch.setattr(docs, "register", lambda app: app.register_blueprint(forgotten))

    with pytest.raises(RuntimeError, match="/v1/forgotten"):
        create_app(settings)


def _send(client: ApiClient, key: str, sent: bytes, media_type: str | None) -> object:
    headers = {"Authorization": f"Bearer {key}"}
    return client.post("/v1/things", data=sent, headers=headers, content_type=media_type)


def test_logs_name_the_route_and_hold_neither_paths_nor_keys(
    thing_client: ApiClient, dispatcher: str, capfd: pytest.CaptureFixture[str], settings: Settings
) -> None:
    logs.configure(settings.model_copy(update={"log_format": "json"}))
    thing_id = new_id()

    thing_client.call("GET", f"/v1/things/{thing_id}", key=dispatcher)
    thing_client.call("POST", "/v1/broken-things", body(name="Ada"), key=dispatcher)

    written = capfd.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["route"] for line in lines if line["event"] == "request"] == [
        "/v1/things/<thing_id>",
        "/v1/broken-things",
    ]
    assert all(word not in written for word in (thing_id, dispatcher, "Ada"))
