"""The pages that a reminder's links open: the link alone changes nothing."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlmodel import Session
from werkzeug.test import TestResponse

from dispatch import booking
from dispatch.appointment import Appointment, Status
from dispatch.database import transaction
from dispatch.events import SYSTEM
from dispatch.links import Action, action_url
from dispatch.promise import PromiseKind
from tests.pages.test_pages import csrf_token, log_in
from tests.pages.world import DAY, World
from tests.support.client import ApiClient


def link(world: World, action: Action, number: int = 2) -> str:
    """As a reminder of the visit carries it, without the host."""
    with Session(world.engine) as session:
        url = urlsplit(action_url(world.settings, session.get_one(Appointment, world.visits[number]), action))
    return f"{url.path}?{url.query}"


def visit(world: World, number: int = 2) -> Appointment:
    with Session(world.engine) as session:
        return session.get_one(Appointment, world.visits[number])


def press(client: ApiClient, shown: TestResponse, **fields: str) -> TestResponse:
    """Sends the form of a page."""
    action = re.search(r'<form class="(?:stack|times)[^"]*" method="post" action="([^"]+)"', shown.text)
    key = re.search(r'name="k" value="([^"]+)"', shown.text)
    assert action is not None
    assert key is not None
    return client.post(action[1], data={"k": key[1], **fields})


def test_following_the_link_asks_and_only_the_button_confirms(client: ApiClient, world: World) -> None:
    shown = client.get(link(world, "confirm"))
    after_link = visit(world).customer_confirmed_at

    pressed = press(client, shown)

    assert (shown.status_code, after_link) == (200, None)
    assert (pressed.status_code, pressed.location) == (303, f"/t/{world.tokens[2]}")
    assert visit(world).customer_confirmed_at == world.clock()
    assert "You said that somebody will be there." in client.get(pressed.location).text


def test_the_tracking_page_asks_before_the_visit_and_not_after_it(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}"
    before = client.get(path)
    pressed = press(client, before)

    world.move(0, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE)
    after = client.get(path)

    assert "I will be there" in before.text
    assert pressed.status_code == 303
    assert "I will be there" not in after.text


@pytest.mark.parametrize("action", ["confirm", "move"])
def test_a_link_of_a_promise_that_has_moved_says_so_and_changes_nothing(
    client: ApiClient, world: World, action: Action
) -> None:
    path = link(world, action)
    key = path.partition("?k=")[2]
    with transaction(world.engine) as session:
        row = session.get_one(Appointment, world.visits[2])
        window = booking.promised_window(row)
        later = window[0] + timedelta(hours=1), window[1] + timedelta(hours=1)
        booking.promise(session, world.settings, row, later, PromiseKind.CHANGED, SYSTEM, world.clock())
        session.add(row)
    before = visit(world).version

    asked = client.get(path)
    pressed = client.post(path.partition("?")[0], data={"k": key, "slot_id": "any"})

    for response in (asked, pressed):
        assert (response.status_code, response.mimetype) == (410, "text/html")
        assert "This was asked earlier" in response.text
    assert visit(world).version == before


@pytest.mark.parametrize("action", ["confirm", "move"])
def test_without_its_token_a_link_opens_nothing(client: ApiClient, world: World, action: str) -> None:
    assert client.get(f"/t/{world.tokens[2]}/{action}").status_code == 410
    assert client.post(f"/t/{world.tokens[2]}/{action}", data={"slot_id": "any"}).status_code == 410
    assert client.get(f"/t/wrong/{action}?k=any").status_code == 404
    assert client.post(f"/t/wrong/{action}", data={"k": "any", "slot_id": "any"}).status_code == 404


def test_a_visit_is_moved_in_two_steps_and_has_to_be_confirmed_anew(client: ApiClient, world: World) -> None:
    press(client, client.get(link(world, "confirm")))
    before = visit(world)
    shown = client.get(link(world, "move"))
    slot = choose(shown, -1)
    unchanged = visit(world)

    pressed = press(client, shown, slot_id=slot)

    moved = visit(world)
    assert unchanged.version == before.version
    assert (pressed.status_code, pressed.location) == (303, f"/t/{world.tokens[2]}")
    assert moved.window_start != before.window_start
    assert moved.customer_confirmed_at is None


def choose(shown: TestResponse, number: int) -> str:
    found = re.findall(r'name="slot_id" value="([^"]+)"', shown.text)
    assert found
    chosen: str = found[number]
    return chosen


def test_who_chooses_no_time_is_asked_again(client: ApiClient, world: World) -> None:
    response = press(client, client.get(link(world, "move")))

    assert response.status_code == 422
    assert "Choose one of the times." in response.text


def test_a_dispatcher_who_is_signed_in_can_send_the_form_too(client: ApiClient, world: World) -> None:
    log_in(client, world)
    shown = client.get(link(world, "confirm"))

    assert press(client, shown, csrf_token=csrf_token(shown)).status_code == 303


def test_these_pages_are_neither_kept_nor_indexed_nor_told_on(client: ApiClient, world: World) -> None:
    for action in ("confirm", "move"):
        headers = client.get(link(world, action)).headers  # type: ignore[arg-type]
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex"


def test_the_board_shows_who_has_confirmed(client: ApiClient, world: World) -> None:
    log_in(client, world)
    board = f"/board?territory_id={world.territory_id}&date={DAY}"
    before = client.get(board).text
    shown = client.get(link(world, "confirm"))
    press(client, shown, csrf_token=csrf_token(shown))

    after = client.get(board).text

    assert before.count("customer not confirmed") == 2 * 3
    assert before.count("customer confirmed") == 0
    assert after.count("customer confirmed") == 2
