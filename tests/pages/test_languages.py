"""Whoever follows, answers, rates or meets a failure reads it in their own language."""

import re
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session
from werkzeug.test import TestResponse

from api.pages.languages import CODES, language_of
from api.pages.way import direction_of
from dispatch.appointment import Appointment, Status
from dispatch.customer import Customer
from dispatch.database import transaction
from dispatch.errors import Unavailable
from dispatch.feedback import Feedback
from dispatch.links import revoke_tracking
from dispatch.message import Sender
from dispatch.places import Place
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from tests.pages.test_answering import link
from tests.pages.test_pages import HTML
from tests.pages.world import World
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

OTHERS = [code for code in CODES if code != "en"]
ENGLISH = re.compile(r"\b(the|your|you|will|this|what|arrived|booked)\b", re.IGNORECASE)
RATED = (Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)


def keep_language(world: World, number: int, code: str | None) -> None:
    """The customer of the visit said this language when it booked."""
    with transaction(world.engine) as session:
        visit = session.get_one(Appointment, world.visits[number])
        asked = session.get_one(ServiceRequest, visit.service_request_id)
        customer = session.get_one(Customer, asked.customer_id)
        customer.language = code
        session.add(customer)


def read(response: TestResponse) -> str:
    """What is read of a page, without what people wrote and the names of languages."""
    main = response.text.partition("<main")[2]
    return unescape(re.sub(r"<bdi>.*?</bdi>|<[^>]+>", " ", main))


@pytest.mark.parametrize("code", OTHERS)
def test_every_page_behind_a_tracking_link_speaks_the_language_of_its_customer(
    client: ApiClient, world: World, code: str
) -> None:
    for number in range(3):
        keep_language(world, number, f"{code}-XX")
    world.write(0, Sender.CUSTOMER, "12345")
    path = f"/t/{world.tokens[0]}"
    pages = [client.get(path), client.get(link(world, "confirm")), client.get(link(world, "move"))]
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
    world.tell_position(0, Place(40.70, -73.98))
    pages += [client.get(path), client.post(f"{path}/messages", data={"text": ""})]
    pages += [client.get(f"{path}/confirm")]
    world.move(0, Status.ON_SITE, Status.COMPLETED)
    pages += [client.get(path), client.post(path, data={"csat": "9", "ces": "9", "comment": "x" * 2001})]

    assert [page.status_code for page in pages] == [200, 200, 200, 200, 422, 410, 200, 422]
    for page in pages:
        assert f'<html lang="{code}" dir="{language_of(code).direction}">' in page.text
        assert page.headers["Content-Language"] == code
        assert not ENGLISH.search(read(page)), read(page)


def test_the_customers_language_goes_before_the_browsers_and_a_chosen_one_before_both(
    client: ApiClient, world: World
) -> None:
    path, polish = f"/t/{world.tokens[0]}", {"Accept-Language": "pl"}
    before = client.get(path, headers=polish).text
    keep_language(world, 0, "ru")

    kept, chosen = client.get(path, headers=polish).text, client.get(f"{path}?lang=zh", headers=polish).text

    assert 'lang="pl"' in before
    assert '<html lang="ru"' in kept
    assert '<html lang="zh"' in chosen


def test_a_chosen_language_is_kept_through_forms_links_and_the_live_page(
    client: ApiClient, world: World
) -> None:
    path = f"/t/{world.tokens[0]}"
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
    shown = client.get(f"{path}?lang=de").text

    said = client.post(f"{path}/messages", data={"text": "Hallo", "lang": "de"})
    asked = client.get(f"{link(world, 'move')}&lang=de").text

    assert f'data-page="{path}?lang=de"' in shown
    assert f"{path}?lang=de&amp;write=1#say" in shown
    assert shown.count('name="lang" value="de"') == shown.count("<form")
    assert said.location == f"{path}?lang=de#thread"
    assert f'href="/t/{world.tokens[2]}?lang=de"' in asked
    assert 'name="lang" value="de"' in asked
    assert re.search(r'/move\?k=[^"]+&amp;lang=es" lang="es"', asked), "the reminder's token stays"


def test_another_language_leaves_what_was_written_and_sends_none_of_it(
    client: ApiClient, world: World
) -> None:
    path = f"/t/{world.tokens[0]}"

    written = client.post(f"{path}/messages", data={"text": "The bell", "speak": "es"})
    world.move(0, *RATED)
    rated = client.post(path, data={"csat": "4", "ces": "6", "comment": "Fine", "speak": "es"})

    assert written.status_code == rated.status_code == 200
    assert "\nThe bell</textarea>" in written.text
    assert "http-equiv" not in written.text, "an address that only takes forms must not be loaded anew"
    assert 'value="4" required checked' in rated.text
    assert '<option value="6" selected>' in rated.text
    assert "\nFine</textarea>" in rated.text
    assert client.get(f"/v1{path.replace('/t/', '/track/')}/messages").get_json()["items"] == []
    with Session(world.engine) as session:
        assert session.get(Feedback, world.visits[0]) is None


def test_times_and_distances_are_written_as_the_language_does(clock: FakeClock) -> None:
    zone = ZoneInfo("America/New_York")

    def said(code: str) -> list[str]:
        language = language_of(code)
        distances = (language.told_distance(metres) for metres in (347, 2_460, 12_400))
        return [*distances, language.told_lately(clock.now(), zone)]

    assert said("en") == ["350 m", "2.5 km", "12 km", "2 March, 8 am"]
    assert said("de") == ["350 m", "2,5 km", "12 km", "2. März, 8:00 Uhr"]
    assert said("ru") == ["350 м", "2,5 км", "12 км", "2 марта, 8:00"]
    assert said("fa") == ["۳۵۰ متر", "۲٫۵ کیلومتر", "۱۲ کیلومتر", "۲ مارس، ساعت ۸:۰۰"]
    assert said("zh") == ["350米", "2.5公里", "12公里", "3月2日 8:00"]


def test_from_right_to_left_a_latin_name_does_not_turn_the_sentence() -> None:
    assert "\u2068Bo\u2069" in language_of("fa").say("track.en_route", technician="Bo")
    assert language_of("en").say("track.en_route", technician="Bo") == "Bo is on the way"


@pytest.mark.parametrize(
    ("east", "north", "direction"),
    [
        (0, 9, 0),
        (5, 5, 1),
        (9, 1, 2),
        (5, -5, 3),
        (0, -9, 4),
        (-5, -5, 5),
        (-9, 1, 6),
        (-1, 9, 0),
        (-5, 5, 7),
    ],
)
def test_directions_are_those_of_the_compass(east: float, north: float, direction: int) -> None:
    assert direction_of(east, north) == direction


# Failures


@pytest.mark.parametrize("code", OTHERS)
def test_the_failures_that_customers_meet_speak_their_language(
    client: ApiClient, world: World, code: str
) -> None:
    headers = {**HTML, "Accept-Language": code}
    path = f"/t/{world.tokens[0]}"
    pages = [
        client.get("/t/wrong", headers=headers),
        client.get("/m/wrong", headers=headers),
        client.get("/book/nobody", headers=headers),
        client.delete("/book/nobody", headers=headers),
        client.post(path, data={"csat": "5"}, headers=headers),
    ]

    assert [page.status_code for page in pages] == [404, 404, 404, 405, 409]
    for page in pages:
        assert page.mimetype == "text/html"
        assert f'<html lang="{code}"' in page.text
        assert page.headers["Content-Language"] == code
        assert "Accept-Language" in page.headers["Vary"]
        assert not ENGLISH.search(read(page)), read(page)


def test_a_failure_further_on_is_told_in_the_customers_language_with_a_way_back(
    client: ApiClient, world: World
) -> None:
    keep_language(world, 0, "es")
    path = f"/t/{world.tokens[0]}"

    response = client.post(path, data={"csat": "5"}, headers=HTML)

    assert response.status_code == 409
    assert "Esto ya no es posible" in response.text
    assert f'href="{path}"' in response.text


def test_a_dead_link_tells_nothing_of_whose_it_was(client: ApiClient, world: World) -> None:
    keep_language(world, 0, "ru")
    with transaction(world.engine) as session:
        revoked = session.get_one(Appointment, world.visits[0])
        revoke_tracking(revoked)
        session.add(revoked)

    assert client.get(f"/t/{world.tokens[0]}").text == client.get("/t/wrong").text


def test_a_database_that_is_away_is_told_to_customers_in_words(
    client: ApiClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("database_away", retry_after_s=5)

    monkeypatch.setattr("api.pages.followed.tracked_appointment", away)

    response = client.get(f"/t/{world.tokens[0]}?lang=de", headers=HTML)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "Wir können gerade nicht antworten" in response.text
    assert f'href="/t/{world.tokens[0]}?lang=de"' in response.text


def test_a_form_that_is_too_large_is_refused_as_a_page(client: ApiClient, world: World) -> None:
    path = f"/t/{world.tokens[0]}/messages?lang=pl"

    response = client.post(path, data={"text": "x" * 1_100_000}, headers=HTML)

    assert response.status_code == 413
    assert "Nie można tego przyjąć" in response.text


class TestWithLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"rate_limits": True})

    def test_who_asks_too_often_is_told_so_in_words(self, client: ApiClient, world: World) -> None:
        path = f"/t/{world.tokens[0]}/messages"
        answers = [client.post(path, data={"text": "", "lang": "fa"}, headers=HTML) for _ in range(21)]
        last = client.post(f"{path}?lang=fa", data={"text": ""}, headers=HTML)

        assert [answer.status_code for answer in answers[:20]] == [422] * 20
        assert last.status_code == 429
        assert int(last.headers["Retry-After"]) > 0
        assert '<html lang="fa" dir="rtl">' in last.text
        assert "یک دقیقه صبر کنید" in last.text


def test_a_visit_that_moved_is_not_asked_about_in_another_language_either(
    client: ApiClient, world: World
) -> None:
    keep_language(world, 2, "de")
    path = link(world, "confirm")
    world.clock.advance(hours=26)

    response = client.get(path)

    assert response.status_code == 410
    assert "Das war eine frühere Frage" in response.text
