"""What a technician says of its visit over HTTP: late, proof, follow-up."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from dispatch.proof import LARGEST_PHOTO
from tests.support.acme import CUSTOMERS, Acme


def photo(format_: str = "JPEG", shade: int = 0) -> bytes:
    written = BytesIO()
    Image.new("L", (4, 4), shade).save(written, format_)
    return written.getvalue()


@pytest.fixture
def visit(acme: Acme) -> Any:
    """Casey's visit on the third of March, accepted by Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    asked = acme.request("Casey", CUSTOMERS, notes="Ring twice.")
    slots = acme.slots(asked, **{"from": "2027-03-03", "to": "2027-03-03"})["items"]
    booked = asked | acme.book(asked, min(slots, key=lambda slot: slot["arrival_window"]["start"]))
    acme.accept(acme.offer(booked["appointment"]["id"])["id"])
    acme.clock.move_to(datetime(2027, 3, 3, 14, tzinfo=UTC))
    return booked | {"path": f"/v1/appointments/{booked['appointment']['id']}"}


def move_on(acme: Acme, visit: Any, *statuses: str) -> None:
    for status in statuses:
        reason = {"reason": "Nobody opened."} if status == "cannot_complete" else {}
        acme.progress(visit["appointment"]["id"], status, **reason)


def send(acme: Acme, visit: Any, content: bytes, media_type: str = "image/jpeg", **headers: str) -> Any:
    """As the body."""
    return acme.client.post(
        f"{visit['path']}/proof",
        data=content,
        content_type=media_type,
        headers={"Authorization": f"Bearer {acme.ada_key}"} | headers,
    )


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.get_json(force=True)["code"]


def code_of(acme: Acme, visit: Any, key: str | None = None) -> Any:
    path = f"/v1/service-requests/{visit['service_request']['id']}"
    return acme.client.read(path, key=key or visit["manage_token"]).get("proof_code")


# Late


def late(acme: Acme, visit: Any, by_s: int) -> Any:
    return acme.client.act(f"{visit['path']}/late", {"by_s": by_s}, key=acme.ada_key)


def test_what_the_customer_sees_expected_follows_what_the_technician_says(acme: Acme, visit: Any) -> None:
    def eta() -> Any:
        return acme.client.read(f"/v1/track/{visit['tracking_token']}")["eta"]

    said = late(acme, visit, 1500)
    delayed = eta()
    late(acme, visit, 0)

    expected = datetime.fromisoformat(said["expected_start"])
    assert (expected - datetime.fromisoformat(said["scheduled_start"])).total_seconds() == 1500
    told = [datetime.fromisoformat(delayed[name]) for name in ("start", "end")]
    around = [expected - timedelta(minutes=10), expected + timedelta(minutes=10)]
    assert told == [at.replace(second=0) for at in around]
    assert eta()["start"] < delayed["start"]
    late_events = [
        e
        for e in acme.client.read(visit["path"], key=acme.dispatcher)["events"]
        if e["type"].endswith("late")
    ]
    assert [(event["by"], event["after"]["by_s"]) for event in late_events] == [
        ("technician", 1500),
        ("technician", 0),
    ]


def test_to_say_it_twice_changes_nothing(acme: Acme, visit: Any) -> None:
    first, second = late(acme, visit, 1500), late(acme, visit, 1500)

    assert first == second


@pytest.mark.parametrize("by_s", [-1, 86_401, 1.5, None])
def test_a_delay_is_a_number_of_seconds_up_to_a_day(acme: Acme, visit: Any, by_s: Any) -> None:
    response = acme.client.call("POST", f"{visit['path']}/late", {"by_s": by_s}, key=acme.ada_key)

    assert response.status_code == 422


def test_who_is_there_is_late_no_more(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")

    response = acme.client.call("POST", f"{visit['path']}/late", {"by_s": 60}, key=acme.ada_key)

    assert refused(response) == (409, "invalid_state")
    assert response.get_json(force=True)["allowed"] == ["dispatched", "en_route"]


# Photos


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_read_by_the_dispatcher_as_it_was_sent(acme: Acme, visit: Any, format_: str) -> None:
    move_on(acme, visit, "en_route", "on_site")

    # Whatever it is called: what it is, decides.
    sent = send(acme, visit, photo(format_), "image/jpeg")

    [listed] = acme.client.read(f"{visit['path']}/proof", key=acme.dispatcher)["items"]
    seen = acme.client.call("GET", f"{visit['path']}/proof/{listed['id']}", key=acme.dispatcher)
    assert (sent.status_code, sent.get_json()) == (201, listed)
    assert sent.headers["Location"] == f"{visit['path']}/proof/{listed['id']}"
    assert (seen.data, seen.mimetype) == (photo(format_), f"image/{format_.lower()}")
    assert listed["size_bytes"] == len(photo(format_))
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in seen.headers["Content-Security-Policy"]


def test_a_photo_may_come_as_the_one_file_of_a_form(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")

    def form(*files: bytes) -> Any:
        return acme.client.post(
            f"{visit['path']}/proof",
            data={f"photo{number}": (BytesIO(file), "door.jpg") for number, file in enumerate(files)},
            content_type="multipart/form-data",
            headers={"Authorization": f"Bearer {acme.ada_key}"},
        )

    assert form(photo()).status_code == 201
    assert [form().status_code, form(photo(), photo("PNG")).status_code] == [422, 422]


def test_the_same_photo_sent_again_is_kept_once(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")

    answers = [send(acme, visit, content) for content in (photo(), photo(), photo(shade=9))]

    assert [answer.status_code for answer in answers] == [201, 200, 201]
    assert answers[0].get_json() == answers[1].get_json()
    assert len(acme.client.read(f"{visit['path']}/proof", key=acme.dispatcher)["items"]) == 2


def test_a_lost_answer_can_be_had_again(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")

    first, again = (send(acme, visit, photo(), **{"Idempotency-Key": "one"}) for _ in range(2))

    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a" + b"\0" * 40,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        photo("PNG")[:-30],
        b"\xff\xd8\xff",
    ],
)
def test_what_is_no_photo_is_refused_whatever_it_is_called(acme: Acme, visit: Any, content: bytes) -> None:
    move_on(acme, visit, "en_route", "on_site")

    assert refused(send(acme, visit, content)) == (415, "unsupported_media_type")


def test_a_photo_of_more_than_five_mebibytes_is_too_large(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")
    largest = photo() + b"\0" * (LARGEST_PHOTO - len(photo()))

    answers = [send(acme, visit, largest), send(acme, visit, largest + b"\0"), send(acme, visit, largest * 2)]

    assert [answer.status_code for answer in answers] == [201, 413, 413]


def test_a_visit_has_ten_photos_at_most(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")

    statuses = [send(acme, visit, photo(shade=shade)).status_code for shade in range(0, 242, 22)]

    assert statuses == [201] * 10 + [409]


def test_there_is_nothing_to_photograph_before_the_arrival(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route")

    assert refused(send(acme, visit, photo())) == (409, "invalid_state")


def test_a_closed_door_can_be_photographed(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site", "cannot_complete")

    assert send(acme, visit, photo()).status_code == 201


def test_proof_is_given_by_its_technician_and_read_by_its_dispatchers_alone(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")
    kept = send(acme, visit, photo()).get_json()
    paths = [f"{visit['path']}/proof", f"{visit['path']}/proof/{kept['id']}"]

    statuses = [
        acme.client.call("GET", path, key=key).status_code
        for path in paths
        for key in (None, acme.ada_key, visit["manage_token"])
    ]
    given = acme.client.call("POST", paths[0], {"code": "123456"}, key=acme.dispatcher).status_code

    assert statuses == [401, 403, 403] * 2
    assert given == 403


# The code


def test_the_code_that_the_customer_tells_is_proof(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")
    code = code_of(acme, visit)
    other = f"{(int(code) + 1) % 10**6:06}"

    def tell(said: Any) -> Any:
        return acme.client.call("POST", f"{visit['path']}/proof", {"code": said}, key=acme.ada_key)

    wrong, right, again = tell(other), tell(code), tell(code)

    assert refused(wrong) == (422, "wrong_code")
    assert [error["field"] for error in wrong.get_json(force=True)["errors"]] == ["code"]
    assert (right.status_code, again.status_code) == (201, 200)
    [listed] = acme.client.read(f"{visit['path']}/proof", key=acme.dispatcher)["items"]
    assert (listed["kind"], listed["media_type"]) == ("code", None)
    photo_of_code = acme.client.call("GET", f"{visit['path']}/proof/{listed['id']}", key=acme.dispatcher)
    assert photo_of_code.status_code == 404


def test_whoever_guesses_may_try_ten_codes_and_is_seen(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")
    code = code_of(acme, visit)
    guesses = [f"{(int(code) + number) % 10**6:06}" for number in range(1, 11)]

    def tell(said: str) -> tuple[int, str]:
        body = {"code": said}
        return refused(acme.client.call("POST", f"{visit['path']}/proof", body, key=acme.ada_key))

    answers = [tell(guess) for guess in (*guesses, code)]

    assert answers == [(422, "wrong_code")] * 10 + [(409, "too_many_codes")]
    events = acme.client.read(visit["path"], key=acme.dispatcher)["events"]
    assert [event["type"] for event in events].count("appointment.wrong_code") == 10
    assert send(acme, visit, photo()).status_code == 201


def test_the_code_is_its_customers_alone_and_another_for_another_promise(acme: Acme, visit: Any) -> None:
    code = code_of(acme, visit)
    shown = {
        "dispatcher": code_of(acme, visit, acme.dispatcher),
        "technician": acme.client.call("GET", visit["path"], key=acme.ada_key).text,
        "tracking": acme.client.call("GET", f"/v1/track/{visit['tracking_token']}").text,
        "tracking page": acme.client.get(f"/t/{visit['tracking_token']}").text,
    }
    own_page = acme.client.get(f"/m/{visit['manage_token']}").text
    move_on(acme, visit, "en_route", "on_site", "completed")
    afterwards = code_of(acme, visit)

    assert len(code) == 6
    assert code.isdigit()
    assert code in own_page
    assert shown["dispatcher"] is None
    assert all(code not in str(text) for text in shown.values())
    assert afterwards is None


def test_a_code_is_shown_once_somebody_has_committed(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    asked = acme.request("Casey", CUSTOMERS)
    acme.book(asked, acme.slots(asked, **{"from": "2027-03-03", "to": "2027-03-03"})["items"][0])

    assert code_of(acme, asked) is None


@pytest.mark.parametrize(
    "body", [{"code": "12345"}, {"code": 123456}, {"code": "12345x"}, {}, {"codes": "123456"}]
)
def test_a_code_has_six_digits(acme: Acme, visit: Any, body: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")

    response = acme.client.call("POST", f"{visit['path']}/proof", body, key=acme.ada_key)

    assert response.status_code == 422


# Follow-up


@pytest.mark.parametrize("ending", ["completed", "cannot_complete"])
def test_a_follow_up_is_a_new_request_of_the_same_customer_with_a_link(
    acme: Acme, visit: Any, ending: str
) -> None:
    move_on(acme, visit, "en_route", "on_site", ending)
    body = {
        "reason": "A valve is missing.",
        "earliest_start": "2027-03-05T09:00:00-05:00",
        "note": "Half an inch.",
    }

    asked = acme.client.create(f"{visit['path']}/follow-up", body, key=acme.ada_key)

    former = acme.client.read(f"/v1/service-requests/{visit['service_request']['id']}", key=acme.dispatcher)
    new = acme.client.read(f"/v1/service-requests/{asked['service_request_id']}", key=acme.dispatcher)
    same = ("service_id", "territory_id", "customer", "place", "priority")
    assert {name: new[name] for name in same} == {name: former[name] for name in same}
    assert (new["status"], new["appointment_id"]) == ("open", asked["appointment_id"])
    assert new["follow_up_of"] == asked["follow_up_of"] == former["id"]
    assert new["earliest_start"] == "2027-03-05T14:00:00Z"
    assert new["notes"] == "A valve is missing.\n\nHalf an inch.\n\nRing twice."
    [event] = [
        e
        for e in acme.client.read(visit["path"], key=acme.dispatcher)["events"]
        if e["type"] == "appointment.follow_up"
    ]
    assert (event["by"], event["reason"]) == ("technician", "A valve is missing.")
    assert event["after"] == {"service_request_id": new["id"]}
    assert "Casey" not in str(asked)


def test_a_second_follow_up_is_the_first_until_that_is_cancelled(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site", "completed")
    path, body = f"{visit['path']}/follow-up", {"reason": "A valve is missing."}

    first = acme.client.create(path, body, key=acme.ada_key)
    again = acme.client.act(path, body, key=acme.ada_key)
    acme.client.act(f"/v1/service-requests/{first['service_request_id']}/cancel", {}, key=acme.dispatcher)
    other = acme.client.create(path, body, key=acme.ada_key)

    assert again == first
    assert other["service_request_id"] != first["service_request_id"]


def test_what_goes_on_has_nothing_to_follow_yet(acme: Acme, visit: Any) -> None:
    move_on(acme, visit, "en_route", "on_site")
    body = {"reason": "A valve is missing."}

    early = acme.client.call("POST", f"{visit['path']}/follow-up", body, key=acme.ada_key)
    customer = acme.client.call("POST", f"{visit['path']}/follow-up", body, key=visit["manage_token"])

    assert refused(early) == (409, "invalid_state")
    assert customer.status_code == 403


def test_a_visit_of_somebody_else_is_not_found(acme: Acme, visit: Any) -> None:
    bo = acme.client.create(
        "/v1/technicians",
        {
            "organization": "acme",
            "name": "Bo",
            "phone": "+1 212 555 0177",
            "email": "bo@example.com",
            "kind": "freelancer",
            "home": CUSTOMERS,
            "skills": [],
        },
    )
    acme.client.act(f"/v1/technicians/{bo['technician']['id']}/approve", key=acme.dispatcher)
    bodies = {"late": {"by_s": 60}, "proof": {"code": "123456"}, "follow-up": {"reason": "x"}}

    statuses = [
        acme.client.call("POST", f"{visit['path']}/{action}", body, key=bo["api_key"]).status_code
        for action, body in bodies.items()
    ]

    assert statuses == [404] * 3
