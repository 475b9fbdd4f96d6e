"""The pages as plain HTTP: who sees what, which headers, what is escaped."""

import re
from datetime import timedelta

import pytest
from sqlmodel import Session
from werkzeug.test import TestResponse

from dispatch.appointment import Appointment, Status
from dispatch.database import transaction
from dispatch.feedback import Feedback
from dispatch.links import revoke_tracking
from dispatch.organization import create_organization
from dispatch.places import Place
from tests.pages.world import CUSTOMER, DAY, World
from tests.support.client import ApiClient

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def log_in(client: ApiClient, world: World, **fields: str) -> TestResponse:
    return client.post("/login", data={"key": world.key, **fields})


def csrf_token(response: TestResponse) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
    assert found is not None
    return found[1]


def test_the_first_page_says_where_to_go(client: ApiClient) -> None:
    response = client.get("/")

    assert response.status_code == 200
    assert 'href="/docs"' in response.text
    assert 'href="/board"' in response.text


def test_the_first_page_of_the_only_organization_leads_to_its_booking(
    client: ApiClient, world: World
) -> None:
    alone = client.get("/").text
    with transaction(world.engine) as session:
        create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=world.clock()
        )
    shared = client.get("/").text

    assert 'href="/book/acme">Book a visit' in alone
    assert "Acme &amp; Sons" in alone
    assert "acme" not in shared
    assert "Rival" not in shared
    assert "/book/NAME" in shared


def test_no_page_holds_a_style_or_a_script_of_its_own(client: ApiClient, world: World) -> None:
    log_in(client, world)

    for path in ("/", "/login", "/board", f"/t/{world.tokens[0]}"):
        response = client.get(path)
        assert not re.search(r"<style|<script(?! src=)|<[a-z][^>]*\s(style|on\w+)=", response.text), path
        assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_assets_may_be_kept_for_good_and_pages_not_at_all(client: ApiClient) -> None:
    page = client.get("/")
    found = re.search(r'href="(/static/pages\.css[^"]*)"', page.text)
    assert found is not None

    style = client.get(found[1])

    assert (style.status_code, style.mimetype) == (200, "text/css")
    assert "immutable" in style.headers["Cache-Control"]
    assert page.headers["Cache-Control"] == "no-store"


def test_without_a_tile_server_images_come_from_here_alone(client: ApiClient, world: World) -> None:
    tracked = client.get(f"/t/{world.tokens[0]}")

    assert tracked.headers["Content-Security-Policy"] == client.get("/").headers["Content-Security-Policy"]
    assert "img-src 'self' data:;" in tracked.headers["Content-Security-Policy"]
    assert "data-tiles" not in tracked.text


def test_the_tracking_page_with_all_its_assets_but_the_map_is_small(client: ApiClient, world: World) -> None:
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
    world.tell_position(0, Place(40.70, -73.98))
    page = client.get(f"/t/{world.tokens[0]}?lang=fa")
    assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))

    assert len(assets) == 4
    assert len(page.data) + sum(len(client.get(asset).data) for asset in assets) < 60_000


def test_leaflet_is_served_from_its_package_for_good(client: ApiClient, world: World) -> None:
    shown = client.get(f"/t/{world.tokens[0]}").text
    found = {name: re.search(rf'data-{name}="(/leaflet/[^"]+)"', shown) for name in ("script", "style")}
    assert found["script"] is not None
    assert found["style"] is not None

    script, style = client.get(found["script"][1]), client.get(found["style"][1])
    image = client.get(found["style"][1].replace("leaflet.css", "images/layers.png"))
    others = [
        client.get(found["script"][1].replace("leaflet.js", "leaflet.js.map")),
        client.get(found["script"][1].replace("leaflet.js", "../__init__.py")),
        client.get("/leaflet/0.0.1/leaflet.js"),
    ]

    assert [script.mimetype, style.mimetype, image.mimetype] == ["text/javascript", "text/css", "image/png"]
    for response in (script, style, image):
        assert "immutable" in response.headers["Cache-Control"]
    assert [response.status_code for response in others] == [404, 404, 404]


def test_a_key_becomes_a_cookie_that_scripts_cannot_read(client: ApiClient, world: World) -> None:
    response = log_in(client, world)

    assert (response.status_code, response.location) == (303, "/board")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert client.get("/board").status_code == 200


@pytest.mark.parametrize("key", ["", "fd_wrong", "wrong", "fd_\x00", "ключ", "f" * 300])
def test_every_wrong_key_gets_the_same_answer(client: ApiClient, world: World, key: str) -> None:
    response = client.post("/login", data={"key": key})

    assert response.status_code == 401
    assert "This key opens nothing." in response.text
    assert "Set-Cookie" not in response.headers
    assert response.text == client.post("/login", data={"key": "fd_other"}).text


@pytest.mark.parametrize(
    ("target", "onward"),
    [
        ("/board?date=2027-03-02", "/board?date=2027-03-02"),
        ("https://elsewhere.example/", "/board"),
        ("//elsewhere.example/", "/board"),
        ("/\\elsewhere.example/", "/board"),
        ("/\t/elsewhere.example/", "/board"),
        ("board", "/board"),
    ],
)
def test_signing_in_leads_to_paths_of_this_site_only(
    client: ApiClient, world: World, target: str, onward: str
) -> None:
    response = log_in(client, world, next=target)

    assert (response.status_code, response.location) == (303, onward)


def test_another_site_cannot_sign_a_browser_in(client: ApiClient, world: World) -> None:
    response = client.post("/login", data={"key": world.key}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (response.status_code, response.mimetype) == (403, "text/html")
    assert "Set-Cookie" not in response.headers


def test_signing_out_needs_the_token_of_the_session(client: ApiClient, world: World) -> None:
    log_in(client, world)
    token = csrf_token(client.get("/"))

    refused = client.post("/logout")
    done = client.post("/logout", data={"csrf_token": token})

    assert (refused.status_code, refused.mimetype) == (403, "text/html")
    assert done.status_code == 303
    assert client.get("/board").status_code == 303


def test_the_board_sends_strangers_to_the_login_and_back(client: ApiClient, world: World) -> None:
    response = client.get(f"/board?territory_id={world.territory_id}&date=2027-03-02")

    assert response.status_code == 303
    assert response.location == f"/login?next=/board?territory_id%3D{world.territory_id}%26date%3D2027-03-02"


def test_a_technician_does_not_see_the_board(client: ApiClient, world: World) -> None:
    client.post("/login", data={"key": world.technician_key})

    response = client.get("/board", follow_redirects=True)

    assert "a dispatcher’s" in response.text
    assert "Leak repair" not in response.text


def test_the_board_shows_visits_travel_windows_and_reasons(client: ApiClient, world: World) -> None:
    log_in(client, world)

    shown = client.get(f"/board?territory_id={world.territory_id}&date={DAY}").text

    assert shown.count('class="visit scheduled"') == 3
    assert shown.count('class="leg"') == 3 + 1
    assert shown.count('class="window"') == 3 + 1
    assert "of 4 visits" in shown
    assert "and Bo Chen: lacks electric." in shown
    assert '<svg class="definitions"' in shown


def test_the_board_of_an_empty_day_says_so(client: ApiClient, world: World) -> None:
    log_in(client, world)

    shown = client.get("/board?date=2027-07-04").text

    assert "Nobody works on this day yet." in shown
    assert "Every visit of the day has a technician." in shown
    assert "2 not at work on this day" in shown


def test_what_people_entered_is_shown_as_text(client: ApiClient, world: World) -> None:
    log_in(client, world)

    board, tracked = client.get("/board").text, client.get(f"/t/{world.tokens[0]}").text

    assert CUSTOMER not in board
    assert "&lt;script&gt;document.title" in board
    assert "&lt;b onclick=alert(1)&gt;Ana&lt;/b&gt;" in board
    assert "<i>Main</i>" not in board
    assert "Acme &amp; Sons" in tracked


@pytest.mark.parametrize(
    ("query", "status"), [("date=soon", 422), ("date=9999-12-31", 422), ("territory_id=x", 404)]
)
def test_a_board_that_cannot_be_shown_is_refused_as_a_page(
    client: ApiClient, world: World, query: str, status: int
) -> None:
    log_in(client, world)

    response = client.get(f"/board?{query}")

    assert (response.status_code, response.mimetype) == (status, "text/html")


def test_browsers_are_told_failures_as_a_page_and_programs_as_a_problem(client: ApiClient) -> None:
    page = client.get("/nothing", headers=HTML)
    program = client.get("/nothing")
    api = client.get("/v1/nothing", headers=HTML)
    method = client.delete("/login", headers=HTML)

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "There is nothing at this address" in page.text
    assert program.mimetype == api.mimetype == "application/problem+json"
    assert (method.status_code, method.mimetype) == (405, "text/html")
    assert "POST" in method.headers["Allow"]


# Tracking


def test_a_booked_visit_shows_its_window_in_local_time(client: ApiClient, world: World) -> None:
    with Session(world.engine) as session:
        window_start = session.get_one(Appointment, world.visits[0]).window_start
    assert window_start is not None
    hour = (window_start - timedelta(hours=5)).hour

    response = client.get(f"/t/{world.tokens[0]}")

    assert "Your visit is booked" in response.text
    assert "Tuesday, 2 March 2027" in response.text
    assert "New York time (EST)" in response.text
    assert f"<bdi>{hour % 12 or 12}\N{WORD JOINER}–" in response.text
    assert "white van" not in response.text


def test_a_tracking_page_is_neither_kept_nor_indexed_nor_told_on(client: ApiClient, world: World) -> None:
    for token in (world.tokens[0], "wrong"):
        headers = client.get(f"/t/{token}").headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex"


def test_wrong_expired_and_revoked_links_answer_alike(client: ApiClient, world: World) -> None:
    with transaction(world.engine) as session:
        revoked = session.get_one(Appointment, world.visits[0])
        revoke_tracking(revoked)
        session.add(revoked)

    wrong = client.get("/t/wrong")
    gone = client.get(f"/t/{world.tokens[0]}")
    world.clock.advance(days=9)
    expired = client.get(f"/t/{world.tokens[1]}")

    assert (wrong.status_code, wrong.mimetype) == (404, "text/html")
    assert wrong.text == gone.text == expired.text


def test_the_distance_is_told_on_the_way_and_not_before_or_after(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"
    world.move(0, Status.DISPATCHED)
    world.tell_position(0, Place(40.70, -73.98))
    before = client.get(path).text

    world.move(0, Status.EN_ROUTE)
    under_way = client.get(path).text
    world.move(0, Status.ON_SITE)
    arrived = client.get(path).text

    assert "km away" not in before
    assert re.search(r"About [\d.]+ km away\.", under_way)
    assert "white van" in under_way
    assert "You are next." in under_way
    assert 'data-refresh-s="30"' in under_way
    assert 'data-lat="40.7"' in under_way
    assert "40.7" not in before + arrived
    assert "km away" not in arrived


def test_a_visit_is_rated_once_without_javascript_or_key(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
    assert "How was it?" in client.get(path).text

    first = client.post(path, data={"csat": "5", "comment": " <b>Good</b> "})
    again = client.post(path, data={"csat": "1"})

    assert (first.status_code, first.location) == (303, path)
    assert again.status_code == 303
    assert "Thank you, we have your answer." in client.get(path).text
    with Session(world.engine) as session:
        kept = session.get_one(Feedback, world.visits[0])
        assert (kept.csat, kept.comment) == (5, "<b>Good</b>")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Choose one of the five answers."),
        ({"csat": "6"}, "Choose one of the five answers."),
        ({"csat": "5", "comment": "x" * 2001}, "Keep it within 2000 characters"),
        ({"csat": "5", "comment": "a\x00b"}, "characters in it that cannot be kept"),
    ],
)
def test_a_rating_that_cannot_be_kept_is_explained(
    client: ApiClient, world: World, fields: dict[str, str], message: str
) -> None:
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)

    response = client.post(f"/t/{world.tokens[0]}", data=fields)

    assert response.status_code == 422
    assert message in response.text


def test_ease_and_likelihood_may_be_said_too(client: ApiClient, world: World) -> None:
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
    path = f"/t/{world.tokens[0]}"

    refused = client.post(path, data={"csat": "2", "ces": "8", "nps": "-1", "comment": "Hm"})
    kept = client.post(path, data={"csat": "2", "ces": "7", "nps": "0", "comment": ""})

    assert refused.status_code == 422
    assert refused.text.count("Choose one of the answers, or none.") == 2
    assert "\nHm</textarea>" in refused.text, "what was entered is kept"
    assert re.search(r'name="csat" value="2" required checked', refused.text)
    assert kept.status_code == 303
    with Session(world.engine) as session:
        said = session.get_one(Feedback, world.visits[0])
        assert (said.csat, said.ces, said.nps, said.comment) == (2, 7, 0, None)


def test_customers_write_without_javascript_or_key(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"

    said = client.post(f"{path}/messages", data={"text": " The <b>bell</b>\r\nis broken. "})
    client.create(f"/v1/appointments/{world.visits[0]}/messages", {"text": "We will knock."}, key=world.key)
    shown = client.get(path).text

    assert (said.status_code, said.location) == (303, f"{path}#thread")
    assert "The &lt;b&gt;bell&lt;/b&gt;\nis broken.</p>" in shown
    assert "<strong><bdi>You</bdi></strong> · 2 March, 8 am" in shown
    assert "<strong><bdi>Acme &amp; Sons</bdi></strong> · 2 March, 8 am" in shown
    assert shown.index("bell") < shown.index("We will knock.")


@pytest.mark.parametrize("text", ["", " \r\n ", "x" * 2001, "a\x00b"])
def test_what_is_no_message_is_explained(client: ApiClient, world: World, text: str) -> None:
    response = client.post(f"/t/{world.tokens[0]}/messages", data={"text": text})

    assert response.status_code == 422
    assert "Write something, within 2000 characters." in response.text
    assert "http-equiv" not in response.text, "an address that only takes forms must not be loaded anew"


def test_a_page_stands_still_while_somebody_writes(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)

    moving, still = client.get(path).text, client.get(f"{path}?write=1").text

    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in moving
    assert f'href="{path}?write=1#say"' in moving
    assert "http-equiv" not in still
    assert 'name="text"' in still


def test_of_a_cancelled_visit_the_thread_stays_and_the_form_goes(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"
    client.post(f"{path}/messages", data={"text": "Never mind."})

    client.act(f"/v1/appointments/{world.visits[0]}/cancel", {}, key=world.key)

    shown = client.get(path).text
    assert "Never mind." in shown
    assert 'id="say"' not in shown
    assert client.post(f"{path}/messages", data={"text": "And?"}).status_code == 409


def test_a_visit_that_is_not_done_cannot_be_rated(client: ApiClient, world: World) -> None:
    response = client.post(f"/t/{world.tokens[0]}", data={"csat": "5"})

    assert (response.status_code, response.mimetype) == (409, "text/html")


def test_a_dispatcher_who_is_signed_in_can_send_a_rating_form_too(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
    log_in(client, world)
    token = csrf_token(client.get(path))

    response = client.post(path, data={"csat": "4", "csrf_token": token})

    assert response.status_code == 303


def test_a_visit_that_is_later_than_promised_says_so(client: ApiClient, world: World) -> None:
    world.clock.advance(hours=14)

    response = client.get(f"/t/{world.tokens[0]}")

    assert "We are later than we promised" in response.text
