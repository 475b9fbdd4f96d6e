"""A customer's pages as plain HTTP: from the first page to a visit that is booked, moved, cancelled."""

import re
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Engine
from sqlmodel import Session, select
from werkzeug.test import TestResponse

from api.pages import address, failures, manage, tracking, visitor, way
from api.pages.languages import CODES, Language, language_of
from dispatch.appointment import ENDED, UNDER_WAY, Status
from dispatch.errors import Unavailable
from dispatch.events import Event
from dispatch.settings import Settings
from optimizer import Reason
from optimizer.plan import ReasonCode
from tests.pages.shop import ADDRESS, HILL, Shop, build_shop, hidden, slot_ids
from tests.support.acme import NEIGHBOURS, SERVICE
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

PAGES = Path(manage.__file__).parent
FIRST_PAGE_MAX_BYTES = 60_000
FORMS = (
    "day",
    "day_and_month",
    "window",
    "moment",
    "day_and_window",
    "zone",
    "hours",
    "minutes",
    "metres",
    "kilometres",
    "money",
)


@pytest.fixture
def shop(client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Shop:
    return build_shop(client, engine, settings, clock)


def events(shop: Shop, type_: str) -> int:
    with Session(shop.engine) as session:
        return len(session.exec(select(Event).where(Event.type == type_)).all())


# From the first page to a booked visit


def test_a_customer_books_a_visit_from_the_first_page_on(shop: Shop) -> None:
    shop.works()
    first = shop.client.get("/book/acme").text
    assert "Leak repair" in first
    assert "$120" in first
    assert "takes about 1 h" in first

    path = shop.own_page()
    times = shop.client.get(path).text
    assert "All times are New York time (EST)." in times
    assert "Wednesday, 3 March 2027" in times
    assert "Price: $120." in times
    assert "Cancelling is free until 24 h before the window begins; after that it costs $25." in times
    assert "Moving is free until the technician is on the way." in times
    booked = shop.client.post(path, data={"slot_id": slot_ids(times)[0]})

    assert (booked.status_code, booked.location) == (303, path)
    page = shop.client.get(booked.location).text
    assert "Your visit is booked" in page
    assert "Keep this link" in page
    assert f'value="http://127.0.0.1:8000{path}"' in page
    tracked = re.search(r'href="(/t/[^"]+)"', page)
    assert tracked is not None
    assert shop.client.get(tracked[1]).status_code == 200
    request, customer, appointment = shop.rows()
    assert (request.source, request.address, request.notes) == (
        "web",
        ADDRESS,
        "The tap drips.\n<b>Ring twice.</b>",
    )
    assert (customer.name, customer.phone, customer.language) == ("Casey Jones", "+12125550123", "en")
    assert appointment.status is Status.SCHEDULED


def test_many_services_are_a_list_to_pick_from(shop: Shop) -> None:
    for number in range(8):
        extra = SERVICE | {"name": f"Service <{number}>"}
        shop.client.create("/v1/services", extra, key=shop.acme.dispatcher)

    page = shop.client.get("/book/acme").text
    refused = shop.send(service="", name="").text

    assert 'type="radio"' not in page
    assert "Service &lt;7&gt; · $120 · 1 h</option>" in page
    assert 'href="#service">Choose what you need.' in refused
    shop.own_page()


def test_times_at_which_a_technician_is_near_are_recommended(shop: Shop) -> None:
    shop.works()

    page = shop.client.get(shop.own_page()).text

    assert 1 <= page.count('class="option near"') <= 3
    assert "a technician is near you then" in page


def test_what_people_entered_is_shown_as_text(shop: Shop) -> None:
    shop.works()
    path = shop.own_page(name="<script>document.title='taken'</script>")
    shop.choose(path)

    page = shop.client.get(path).text
    refused = shop.send(address='"><i>nowhere</i>').text

    assert "&lt;script&gt;document.title" in page
    assert "&lt;b&gt;Ring twice.&lt;/b&gt;" in page
    assert "<b>Ring" not in page
    assert "<i>nowhere" not in refused


# What cannot be taken


@pytest.mark.parametrize(
    ("field", "value", "anchor", "message"),
    [
        ("service", "", "service-0", "Choose what you need."),
        ("service", "01932f6e-7a3b-7cc1-9d3e-5f2a8c4b6e10", "service-0", "Choose what you need."),
        ("address", " ", "address", "Write the address to which we should come"),
        ("address", "8 Nowhere Lane", "address", "We do not know this address."),
        ("address", "1 Far Street, Boston", "address", "Acme does not come to this place."),
        ("name", "  ", "name", "Write your name"),
        ("phone", "12", "phone", "This is not a phone number."),
        ("phone", "", "phone", "Write a phone number or an e-mail address"),
        ("email", "casey@", "email", "This is not an e-mail address."),
        ("notes", "x" * 4_001, "notes", "Write at most 4000 characters here."),
        ("notes", "a\x00b", "notes", "Write at most 4000 characters here."),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_typed_is_lost(
    shop: Shop, field: str, value: str, anchor: str, message: str
) -> None:
    response = shop.send(**{field: value})

    assert response.status_code == 422
    assert f'href="#{anchor}">{message}' in response.text
    assert f'id="{field}-wrong"' in response.text
    kept = {"name": "Casey Jones", "address": ADDRESS}
    for name in kept.keys() - {field}:
        assert f'value="{kept[name]}"' in response.text
    assert shop.count() == 0


def test_an_email_address_alone_is_enough(shop: Shop) -> None:
    shop.own_page(phone="", email="casey@example.com")

    assert shop.rows()[1].email == "casey@example.com"


def test_a_doubtful_address_is_asked_back_and_never_guessed(shop: Shop) -> None:
    asked = shop.send(address="9 Oak Street")

    assert asked.status_code == 422
    assert "9 Oak Street, Brooklyn" in asked.text
    assert 'href="#candidate-0"' in asked.text
    assert shop.count() == 0
    queens = re.search(r'value="([^"]+)"[^>]*>\s*<span><bdi>9 Oak Street, Queens', asked.text)
    assert queens is not None
    shop.own_page(address="9 Oak Street", candidate=queens[1])
    request = shop.rows()[0]
    assert (request.address, request.lat) == ("9 Oak Street, Queens", 40.72)


def test_places_of_one_name_are_told_apart_and_a_made_up_one_is_not_taken(shop: Shop) -> None:
    response = shop.send(address="2 Twin Street", candidate="40.0,-73.0")

    assert response.status_code == 422
    assert "40.7120, -73.9900" in response.text
    assert "40.7160, -73.9860" in response.text
    assert shop.count() == 0


def test_addresses_that_cannot_be_looked_up_now_take_nothing_that_was_typed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("geocoder_away", "The geocoder does not answer.")

    monkeypatch.setattr(address, "located", away)

    response = shop.send()

    assert response.status_code == 422
    assert "Addresses cannot be looked up at this moment." in response.text
    assert f'value="{ADDRESS}"' in response.text


def test_an_organization_that_does_not_exist_is_the_usual_404(shop: Shop) -> None:
    for path in ("/book/nobody", "/book/nobody/app.webmanifest"):
        response = shop.client.get(path)
        assert (response.status_code, response.mimetype) == (404, "text/html")
    assert shop.client.post("/book/nobody").status_code == 404


@pytest.mark.parametrize("page", ["", "/move", "/cancel", "/details"])
def test_a_wrong_token_gets_the_page_that_every_dead_link_gets(shop: Shop, page: str) -> None:
    dead = shop.client.get("/t/wrong").text

    for token in ("wrong", "fd_wrong", shop.acme.dispatcher, shop.acme.ada_key, "ключ"):
        for response in (shop.client.get(f"/m/{token}{page}"), shop.client.post(f"/m/{token}{page}")):
            assert response.status_code == 404
            assert response.text == dead


# Once, however often it is sent


def test_a_form_sent_twice_makes_one_request(shop: Shop) -> None:
    form = shop.form()

    first, second = (shop.client.post("/book/acme", data=form) for _ in range(2))
    changed = shop.client.post("/book/acme", data=form | {"notes": "It bursts."})

    assert first.location == second.location
    assert shop.count() == 1
    assert changed.location == f"{first.location}?told=already_sent"
    assert "not sent twice" in shop.client.get(changed.location).text


def test_a_button_pressed_twice_at_once_makes_one_request(app: Flask, shop: Shop) -> None:
    form = shop.form()

    def press(_: int) -> str:
        return str(app.test_client().post("/book/acme", data=form).location)

    with ThreadPoolExecutor(4) as pool:
        locations = set(pool.map(press, range(4)))

    assert len(locations) == 1
    assert shop.count() == 1


def test_two_customers_with_the_same_words_are_two(shop: Shop) -> None:
    assert shop.own_page() != shop.own_page()
    assert shop.count() == 2


def test_a_time_booked_twice_is_booked_once(shop: Shop) -> None:
    shop.works()
    path = shop.own_page()
    chosen, other = slot_ids(shop.client.get(path).text)[:2]

    first, second = (shop.client.post(path, data={"slot_id": chosen}) for _ in range(2))
    late = shop.client.post(path, data={"slot_id": other})

    assert first.location == second.location == path
    assert late.location == f"{path}?told=already_booked"
    assert "It was booked already." in shop.client.get(late.location).text
    assert events(shop, "appointment.booked") == 1


def test_a_time_booked_twice_at_once_is_booked_once(app: Flask, shop: Shop) -> None:
    shop.works()
    path = shop.own_page()
    chosen = slot_ids(shop.client.get(path).text)[0]

    def press(_: int) -> str:
        return str(app.test_client().post(path, data={"slot_id": chosen}).location)

    with ThreadPoolExecutor(4) as pool:
        locations = set(pool.map(press, range(4)))

    assert locations == {path}
    assert events(shop, "appointment.booked") == 1


# Times


def test_a_time_that_was_taken_meanwhile_is_said_with_the_next_best(shop: Shop) -> None:
    shop.acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    shop.acme.shift("2027-03-04T09:00:00-05:00", "2027-03-04T10:45:00-05:00")
    path = shop.own_page()
    wanted = slot_ids(shop.client.get(path).text)[0]
    drew = shop.acme.request("Drew", NEIGHBOURS)
    theirs = shop.acme.slots(drew, **{"from": "2027-03-03", "to": "2027-03-03"})["items"]
    shop.acme.book(drew, min(theirs, key=lambda slot: str(slot["arrival_window"]["start"])))

    response = shop.client.post(path, data={"slot_id": wanted})

    assert response.status_code == 409
    assert "Somebody has just taken this time" in response.text
    assert re.search(r'<li><a href="#slot-\d+">Thursday, 4 March 2027', response.text)
    assert "next best" in response.text
    again = shop.client.post(path, data={"slot_id": slot_ids(response.text)[0]})
    assert again.status_code == 303
    assert "Thursday, 4 March 2027" in shop.client.get(path).text


def test_the_next_best_are_shown_where_they_lie_in_the_week_after(shop: Shop) -> None:
    for day in ("08", "09"):
        shop.acme.shift(f"2027-03-{day}T09:00:00-05:00", f"2027-03-{day}T10:45:00-05:00")
    path = shop.own_page()
    wanted = slot_ids(shop.client.get(path).text)[0]
    drew = shop.acme.request("Drew", NEIGHBOURS)
    shop.acme.book(drew, shop.acme.slots(drew)["items"][0])

    response = shop.client.post(path, data={"slot_id": wanted})

    assert response.status_code == 409
    assert re.search(r'<li><a href="#slot-\d+">Tuesday, 9 March 2027', response.text)
    assert 'name="week" value="1"' in response.text


def test_times_that_were_shown_long_ago_are_shown_anew_with_the_same_one_chosen(shop: Shop) -> None:
    shop.works()
    path = shop.own_page()
    old = slot_ids(shop.client.get(path).text)[2]
    shop.clock.advance(minutes=16)

    response = shop.client.post(path, data={"slot_id": old})

    assert response.status_code == 410
    assert "Here is what is free now" in response.text
    assert len(re.findall(r'name="slot_id"[^>]* checked', response.text)) == 1


@pytest.mark.parametrize("slot_id", ["", "forged", "ключ"])
def test_a_time_that_was_not_offered_is_not_taken(shop: Shop, slot_id: str) -> None:
    shop.works()
    path = shop.own_page()

    response = shop.client.post(path, data={"slot_id": slot_id})

    assert response.status_code == 422
    assert slot_ids(response.text) != []
    assert not shop.rows()[2].is_promised


def test_no_time_says_why_and_what_would_help(shop: Shop) -> None:
    path = shop.own_page()

    page = shop.client.get(path).text

    assert "No time is free from Tuesday, 2 March 2027 to Monday, 8 March 2027" in page
    assert "Nobody who could do it works on these days." in page
    assert "Look at later days." in page
    assert "Your request is kept." in page
    assert shop.acme.ada["id"] not in page
    assert "Ada" not in page


def test_where_all_are_taken_it_does_not_blame_skills(shop: Shop) -> None:
    shop.acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    drew = shop.acme.request("Drew", NEIGHBOURS)
    shop.acme.book(drew, shop.acme.slots(drew)["items"][0])

    page = shop.client.get(shop.own_page()).text

    assert "Everybody who could do it is taken." in page
    assert "skills" not in page


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (["skill_missing", "no_time", "notice"], ["full"]),
        (["skill_missing", "outside_radius"], ["far"]),
        (["level_too_low", "no_shift"], ["nobody", "skill"]),
        (["notice"], ["soon"]),
        (["window"], ["full"]),
        ([], []),
    ],
)
def test_what_is_true_of_some_is_not_said_of_all(codes: list[ReasonCode], told: list[str]) -> None:
    reasons = [Reason(code, "some words", ("technician",)) for code in codes]

    assert manage.reason_keys(reasons) == [f"reason.{key}" for key in told]


def test_what_would_help_is_said_without_naming_anybody() -> None:
    remedies = [Reason("window", "", ("a",), 600), Reason("no_time", "", (), 1), Reason("visit_cap", "")]

    assert manage.remedy_keys(remedies) == ["help.window", "help.people"]


def test_later_days_can_be_looked_at(shop: Shop) -> None:
    shop.acme.shift("2027-03-10T09:00:00-05:00", "2027-03-10T17:00:00-05:00")
    path = shop.own_page()
    assert f'href="{path}?week=1"' in shop.client.get(path).text

    later = shop.client.get(f"{path}?week=1").text
    booked = shop.client.post(path, data={"slot_id": slot_ids(later)[0], "week": "1"})

    assert "Wednesday, 10 March 2027" in later
    assert booked.status_code == 303


@pytest.mark.parametrize("week", ["-1", "x", "99999999", "²"])
def test_a_week_that_is_none_is_no_failure(shop: Shop, week: str) -> None:
    assert shop.client.get(f"{shop.own_page()}?week={week}").status_code == 200


# The visit as it stands


def test_a_visit_is_moved_with_the_same_links(shop: Shop) -> None:
    shop.works()
    path = shop.booked()
    tracked = re.search(r'href="/t/[^"]+"', shop.client.get(path).text)
    times = shop.client.get(f"{path}/move").text
    assert "Booked now: Wednesday, 3 March 2027" in times

    target = slot_ids(times)[-1]
    moved, again = (shop.client.post(f"{path}/move", data={"slot_id": target}) for _ in range(2))

    assert moved.location == again.location == f"{path}?told=moved"
    page = shop.client.get(moved.location).text
    assert "Your visit is moved to this time." in page
    assert "Thursday, 4 March 2027" in page
    assert tracked is not None
    assert tracked[0] in page
    assert events(shop, "appointment.rescheduled") == 1


def test_free_cancelling_says_until_when_and_what_it_costs_then(shop: Shop) -> None:
    shop.works()
    path = shop.own_page()
    shop.choose(path, -1)

    page = shop.client.get(path).text

    assert re.search(
        r"Cancelling is free until Wednesday, 3 March 2027, \d+ pm; after that it costs \$25\.", page
    )


def test_the_fee_is_named_before_cancelling_and_a_higher_one_is_asked_anew(shop: Shop) -> None:
    shop.works()
    path = shop.own_page()
    shop.choose(path, -1)
    asked = shop.client.get(f"{path}/cancel").text
    assert "Yes, cancel it<" in asked
    shop.clock.advance(hours=40)

    stale = shop.client.post(f"{path}/cancel", data={"fee": hidden(asked, "fee")})

    assert stale.status_code == 409
    assert "Cancelling now costs $25." in stale.text
    assert "Yes, cancel it for $25" in stale.text
    assert shop.rows()[2].status is Status.SCHEDULED
    done, again = (
        shop.client.post(f"{path}/cancel", data={"fee": hidden(stale.text, "fee")}) for _ in range(2)
    )
    assert done.location == again.location == path
    gone = shop.client.get(path).text
    assert "Your visit is cancelled" in gone
    assert 'href="/t/' not in gone
    assert events(shop, "appointment.cancelled") == 1


def test_a_request_without_a_time_can_be_withdrawn(shop: Shop) -> None:
    path = shop.own_page()

    response = shop.client.post(f"{path}/cancel", data={"fee": "0"})

    assert response.status_code == 303
    assert "Your visit is cancelled" in shop.client.get(path).text
    assert "Book another visit" in shop.client.get(path).text


def test_name_contact_and_notes_are_corrected(shop: Shop) -> None:
    path = shop.own_page()
    shown = shop.client.get(f"{path}/details").text
    assert 'value="+12125550123"' in shown

    fields = {"name": "Casey J.", "phone": "212 555 0199", "email": "c@example.com", "notes": ""}
    response = shop.client.post(f"{path}/details", data=fields | {"address": ADDRESS})

    assert response.location == f"{path}?told=saved"
    request, customer, _ = shop.rows()
    assert (customer.name, customer.phone, customer.email) == ("Casey J.", "+12125550199", "c@example.com")
    assert request.notes is None


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("address", "Write the address to which we should come"),
        ("name", "Write your name"),
        ("phone", "Write a phone number or an e-mail address"),
    ],
)
def test_a_correction_that_cannot_be_kept_changes_nothing(shop: Shop, field: str, message: str) -> None:
    path = shop.own_page()
    fields = {"address": ADDRESS, "name": "Other", "phone": "212 555 0199"} | {field: ""}

    response = shop.client.post(f"{path}/details", data=fields)

    assert response.status_code == 422
    assert f'href="#{field}">{message}' in response.text
    assert shop.rows()[1].name == "Casey Jones"


def correct_address(shop: Shop, path: str, address: str, **fields: str) -> TestResponse:
    typed = {"address": address, "name": "Casey Jones", "phone": "212 555 0123", "notes": "Ring"}
    return shop.client.post(f"{path}/details", data=typed | fields)


def test_an_address_is_corrected_and_the_promise_goes_along(shop: Shop) -> None:
    shop.works()
    path = shop.booked()
    window = shop.rows()[2].window_start
    assert f'value="{ADDRESS}"' in shop.client.get(f"{path}/details").text

    response = correct_address(shop, path, "9 Oak Street, Queens")

    request, _, appointment = shop.rows()
    assert response.location == f"{path}?told=saved"
    assert (request.address, request.lat) == ("9 Oak Street, Queens", 40.72)
    assert (appointment.window_start, appointment.status) == (window, Status.SCHEDULED)
    assert "9 Oak Street, Queens" in shop.client.get(path).text


def test_a_doubtful_correction_is_asked_back(shop: Shop) -> None:
    path = shop.own_page()

    asked = correct_address(shop, path, "9 Oak Street")
    queens = re.search(r'value="([^"]+)"[^>]*>\s*<span><bdi>9 Oak Street, Queens', asked.text)
    assert queens is not None
    before = shop.rows()[0].address
    chosen = correct_address(shop, path, "9 Oak Street", candidate=queens[1])

    assert (asked.status_code, before) == (422, ADDRESS)
    assert 'href="#candidate-0"' in asked.text
    assert chosen.status_code == 303
    assert shop.rows()[0].address == "9 Oak Street, Queens"


def test_an_address_outside_is_refused_and_nothing_else_kept_either(shop: Shop) -> None:
    path = shop.own_page()

    response = correct_address(shop, path, "1 Far Street, Boston", name="Drew")

    assert response.status_code == 422
    assert "Acme does not come to this place." in response.text
    assert shop.rows()[1].name == "Casey Jones"


def test_where_the_promise_cannot_be_kept_it_is_said_before_and_another_time_can_be_taken(shop: Shop) -> None:
    shop.acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    shop.acme.shift("2027-03-04T09:00:00-05:00", "2027-03-04T17:00:00-05:00")
    path = shop.booked()

    asked = correct_address(shop, path, HILL)

    assert asked.status_code == 422
    assert "At this address we cannot keep Wednesday, 3 March 2027" in unescape(asked.text)
    assert shop.rows()[0].address == ADDRESS
    slots = slot_ids(asked.text)
    done = correct_address(shop, path, HILL, slot_id=slots[0])
    request, _, appointment = shop.rows()
    assert done.status_code == 303
    assert request.address == HILL
    assert "Thursday, 4 March 2027" in shop.client.get(path).text
    assert appointment.status is Status.SCHEDULED
    assert events(shop, "appointment.rescheduled") == 1


def test_where_nobody_can_come_at_all_the_promise_stands(shop: Shop) -> None:
    shop.acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    path = shop.booked()

    refused = correct_address(shop, path, HILL)

    assert refused.status_code == 422
    assert "no other time is free on that day or the two after it" in refused.text
    assert shop.rows()[0].address == ADDRESS
    assert shop.rows()[2].status is Status.SCHEDULED


def test_under_way_the_address_stands_and_the_rest_is_corrected(shop: Shop) -> None:
    shop.works()
    path = shop.booked()
    shop.change_appointments(Status.EN_ROUTE)
    shown = shop.client.get(f"{path}/details").text

    response = correct_address(shop, path, "9 Oak Street, Queens", name="Drew")

    assert 'name="address"' not in shown
    assert response.status_code == 303
    assert (shop.rows()[0].address, shop.rows()[1].name) == (ADDRESS, "Drew")


def test_what_is_not_possible_any_more_says_why(shop: Shop) -> None:
    shop.works()
    path = shop.booked()
    slot_id = slot_ids(shop.client.get(f"{path}/move").text)[-1]
    shop.change_appointments(Status.EN_ROUTE)

    page = shop.client.get(path).text
    tries = (
        shop.client.get(f"{path}/move"),
        shop.client.post(f"{path}/move", data={"slot_id": slot_id}),
        shop.client.get(f"{path}/cancel"),
        shop.client.post(f"{path}/cancel", data={"fee": "0"}),
    )

    assert "because the technician has already set out. Please call Acme." in page
    assert "/cancel" not in page
    assert [(each.status_code, each.location.partition("?")[0]) for each in tries] == [(303, path)] * 4
    assert shop.rows()[2].status is Status.EN_ROUTE


def test_a_visit_that_is_later_than_promised_says_so(shop: Shop) -> None:
    shop.works()
    path = shop.booked()
    shop.clock.advance(hours=34)

    assert "We are later than we promised" in shop.client.get(path).text


def test_a_visit_that_is_done_can_be_rated_for_some_days_and_another_one_booked(shop: Shop) -> None:
    shop.works()
    path = shop.booked()
    shop.change_appointments(Status.COMPLETED)
    done = shop.client.get(path).text
    shop.clock.advance(days=12)

    later = shop.client.get(path).text

    assert 'href="/t/' in done
    assert 'href="/t/' not in later
    for page in (done, later):
        assert "Your visit is done" in page
        assert "nothing more to move or cancel" in page
        assert 'href="/book/acme"' in page


def test_own_pages_are_neither_kept_nor_indexed_nor_told_on(shop: Shop) -> None:
    path = shop.own_page()

    for each in (path, f"{path}/details", f"{path}/cancel", "/m/wrong"):
        headers = shop.client.get(each).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex"


def test_a_dispatcher_who_is_signed_in_can_use_the_forms_too(shop: Shop) -> None:
    shop.client.post("/login", data={"key": shop.acme.dispatcher})
    page = shop.client.get("/book/acme").text

    response = shop.send(csrf_token=hidden(page, "csrf_token"))

    assert response.status_code == 303
    assert shop.send().status_code == 403


# Languages


def placeholders(form: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(form) if name is not None}


@pytest.mark.parametrize("code", CODES)
def test_every_language_has_every_sentence_with_every_placeholder(code: str) -> None:
    first, language = language_of(CODES[0]), language_of(code)

    assert language.strings.keys() == first.strings.keys()
    for key, sentence in language.strings.items():
        assert sentence.strip(), key
        assert placeholders(sentence) == placeholders(first.strings[key]), key
    for form in FORMS:
        assert placeholders(getattr(language, form)) == placeholders(getattr(first, form)), form
    assert (len(language.weekdays), len(language.months), len(language.digits)) == (7, 12, 10)
    assert language.symbols.keys() == first.symbols.keys()
    assert language.direction == ("rtl" if code == "fa" else "ltr")


def test_every_sentence_is_used() -> None:
    sources = [*PAGES.glob("*.py"), *PAGES.glob("templates/*.html")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    made = {f"error.{field}" for field in {*visitor.FIELDS.values(), *visitor._BY_CODE}}
    made |= {f"reason.{key}" for key in {*manage._REASONS.values(), "full"}}
    made |= {f"help.{key}" for key in {*manage._REMEDIES.values()}}
    made |= {f"state.{status.value}" for status in (*UNDER_WAY, *ENDED)} | {"state.booked"}
    made |= {f"told.{key}" for key in manage.TOLD}
    made |= {f"track.{status.value}_lead" for status in (*UNDER_WAY, *ENDED, Status.DISPATCHED)}
    made |= {f"track.{key}{end}" for key in ("requested", "searching") for end in ("", "_lead")}
    made |= {f"track.{status.value}" for status in (*UNDER_WAY, Status.DISPATCHED)}
    made |= {f"step.{status.value}" for status in Status}
    made |= {f"stage.{key}" for key in ("booked", "confirmed", *tracking.STAGES)}
    made |= {f"rate.csat.{value}" for value in tracking.SATISFACTION}
    made |= {f"rate.{scale}{end}" for scale in tracking.SCALES for end in ("", ".most", ".least")}
    made |= {f"direction.{number}" for number in range(way.DIRECTIONS)}
    kinds = {*failures._KINDS.values(), "broken", "form"}
    made |= {f"failure.{kind}{end}" for kind in kinds for end in ("", "_advice")}

    unused = [key for key in language_of("en").strings if f'"{key}"' not in text and key not in made]

    assert unused == []
    assert made <= language_of("en").strings.keys()


@pytest.mark.parametrize("code", CODES)
def test_every_page_speaks_every_language(shop: Shop, code: str) -> None:
    shop.works()
    first = shop.client.get("/book/acme", headers={"Accept-Language": f"{code}-XX,en;q=0.1"})
    assert f'lang="{code}" dir="{language_of(code).direction}"' in first.text
    assert first.headers["Content-Language"] == code

    path = shop.own_page(lang=code)
    path = path.partition("?")[0]
    pages = [shop.client.get(path), shop.client.get(f"{path}/cancel"), shop.client.get(f"{path}/details")]
    shop.choose(path)
    pages += [shop.client.get(path), shop.client.get(f"{path}/move")]

    assert shop.rows()[1].language == code
    for page in pages:
        assert f'lang="{code}"' in page.text
    if code != "en":
        shown = [unescape(re.sub(r"<[^>]+>", " ", page.text)) for page in pages]
        assert not any(" the " in text or "Your" in text for text in shown)


def test_a_language_that_is_chosen_on_a_page_goes_before_what_the_browser_wants(shop: Shop) -> None:
    german = shop.client.get("/book/acme?lang=de", headers={"Accept-Language": "pl"}).text
    assert 'lang="de"' in german
    assert 'name="lang" value="de"' in german
    path = shop.own_page()

    assert 'lang="en"' in shop.client.get(path, headers={"Accept-Language": "pl"}).text
    assert 'lang="ru"' in shop.client.get(f"{path}?lang=ru").text
    assert f'href="{path}/details?lang=ru"' in shop.client.get(f"{path}?lang=ru").text
    assert 'lang="en"' in shop.client.get(f"{path}?lang=xx").text


def test_another_language_takes_nothing_that_was_typed_and_registers_nothing(shop: Shop) -> None:
    typed = {
        "address": "Some Street",
        "name": "Casey & Co",
        "phone": "x",
        "email": "y",
        "notes": "Two\nlines",
    }

    response = shop.client.post("/book/acme?lang=pl", data=shop.form(**typed, lang="pl", speak="de"))

    assert response.status_code == 200
    assert '<html lang="de"' in response.text
    assert 'action="/book/acme?lang=de"' in response.text
    assert 'name="lang" value="de"' in response.text
    for words in ('value="Some Street"', 'value="Casey &amp; Co"', 'value="x"', 'value="y"', "\nTwo\nlines<"):
        assert words in response.text
    assert re.search(r'name="service" value="[^"]+" required checked', response.text)
    assert "wrong" not in response.text
    assert shop.count() == 0


def test_another_language_asks_a_doubtful_address_back_again_with_the_same_place_marked(shop: Shop) -> None:
    asked = shop.send(address="9 Oak Street").text
    queens = re.search(r'value="([^"]+)"[^>]*>\s*<span><bdi>9 Oak Street, Queens', asked)
    assert queens is not None
    sent = {"address": "9 Oak Street", "candidate": queens[1], "doubtful": hidden(asked, "doubtful")}

    switched = shop.send(**sent, speak="fa").text
    mended = shop.send(**sent | {"address": "nowhere at all"}, speak="fa")

    assert f'name="candidate" value="{queens[1]}" checked' in switched
    assert mended.status_code == 200
    assert 'name="candidate"' not in mended.text


def test_another_language_leaves_the_marked_time_and_the_week(shop: Shop) -> None:
    shop.acme.shift("2027-03-10T09:00:00-05:00", "2027-03-10T17:00:00-05:00")
    path = shop.own_page()
    chosen = slot_ids(shop.client.get(f"{path}?week=1").text)[2]

    switched = shop.client.post(path, data={"slot_id": chosen, "week": "1", "speak": "es"})
    unmarked = shop.client.post(path, data={"week": "1", "speak": "es"})

    assert switched.status_code == unmarked.status_code == 200
    marks = re.findall(r'name="slot_id"[^>]*>', switched.text)
    assert [mark.endswith(" checked>") for mark in marks].index(True) == 2
    assert "miércoles, 10 de marzo" in switched.text
    assert " checked>" not in unmarked.text
    assert not shop.rows()[2].is_promised


def test_another_language_leaves_what_was_corrected_and_keeps_none_of_it(shop: Shop) -> None:
    path = shop.own_page()

    response = shop.client.post(f"{path}/details", data={"name": "Drew", "notes": "Ring", "speak": "ru"})

    assert response.status_code == 200
    assert 'value="Drew"' in response.text
    assert f'action="{path}/details?lang=ru"' in response.text
    assert shop.rows()[1].name == "Casey Jones"


@pytest.mark.parametrize(
    ("code", "money", "length", "zone"),
    [
        ("en", "$1,234.50", "1 h 30 min", "New York time (EST)"),
        ("de", "1.234,50 $", "1 Std. 30 Min.", "Zeit in New York (EST)"),
        ("es", "1.234,50 US$", "1 h 30 min", "hora de New York (EST)"),
        ("pl", "1 234,50 USD", "1 godz. 30 min", "czas: New York (EST)"),
        ("ru", "1 234,50 $", "1 ч 30 мин", "время: New York (EST)"),
        ("fa", "۱٬۲۳۴٫۵۰ دلار آمریکا", "۱ ساعت ۳۰ دقیقه", "به وقت New York (EST)"),
        ("zh", "US$1,234.50", "1小时 30分钟", "New York时间(EST)"),
    ],
)
def test_money_lengths_and_zones_are_written_as_the_language_does(
    clock: FakeClock, code: str, money: str, length: str, zone: str
) -> None:
    language: Language = language_of(code)

    assert language.told_money(123_450, "USD").replace("\N{NO-BREAK SPACE}", " ") == money
    assert language.told_length(5_400) == length
    assert language.told_zone(clock.now(), ZoneInfo("America/New_York")) == zone


def test_a_window_is_said_as_shortly_as_it_can_be(clock: FakeClock) -> None:
    zone = ZoneInfo("America/New_York")
    noon = clock.now().replace(hour=17)
    windows = [
        (noon + timedelta(hours=a), noon + timedelta(hours=b)) for a, b in ((1, 3), (-1, 1), (-4, -2.5))
    ]

    def said(code: str) -> list[str]:
        told = (language_of(code).told_window(window, zone) for window in windows)
        return [each.replace("\N{NO-BREAK SPACE}", " ").replace("\N{WORD JOINER}", "") for each in told]

    assert said("en") == ["1–3 pm", "11 am–1 pm", "8–9:30 am"]
    assert said("de") == ["13:00–15:00", "11:00–13:00", "8:00–9:30"]
    assert said("fa") == ["۱۳:۰۰ تا ۱۵:۰۰", "۱۱:۰۰ تا ۱۳:۰۰", "۸:۰۰ تا ۹:۳۰"]


def test_money_of_other_minor_units_and_unknown_symbols() -> None:
    english, german = language_of("en"), language_of("de")

    assert english.told_money(4_000, "JPY") == "¥4,000"
    assert english.told_money(4_000, "KWD").replace("\N{NO-BREAK SPACE}", " ") == "KWD 4"
    assert german.told_money(4_005, "CHF").replace("\N{NO-BREAK SPACE}", " ") == "40,05 CHF"


# As a page


def test_the_first_page_with_all_its_assets_is_small(shop: Shop) -> None:
    page = shop.client.get("/book/acme?lang=fa")
    assets = re.findall(
        r'(?:href|src)="(/(?:static|book)/[^"]+\.(?:css|js|svg|png|webmanifest)[^"]*)"', page.text
    )

    size = len(page.data) + sum(len(shop.client.get(unescape(each)).data) for each in set(assets))

    assert len(set(assets)) == 5
    assert size < FIRST_PAGE_MAX_BYTES


def test_the_page_can_be_installed(shop: Shop) -> None:
    page = shop.client.get("/book/acme?lang=fa").text
    found = re.search(r'rel="manifest" href="([^"]+)"', page)
    assert found is not None

    response = shop.client.get(unescape(found[1]))
    manifest = response.get_json()

    assert response.mimetype == "application/manifest+json"
    assert (manifest["name"], manifest["dir"], manifest["start_url"]) == ("Acme", "rtl", "/book/acme?lang=fa")
    touched = re.search(r'rel="apple-touch-icon" href="([^"]+)"', page)
    assert touched is not None
    pictures = [*((icon["src"], icon["type"]) for icon in manifest["icons"]), (touched[1], "image/png")]
    for source, mimetype in pictures:
        served = shop.client.get(unescape(source))
        assert (served.status_code, served.mimetype) == (200, mimetype), source


def test_the_icons_are_as_large_as_the_manifest_says(shop: Shop) -> None:
    icons = shop.client.get("/book/acme/app.webmanifest").get_json()["icons"]

    said = [(icon.get("purpose", "any"), icon["sizes"]) for icon in icons if icon["type"] == "image/png"]
    assert said == [("any", "192x192"), ("any", "512x512"), ("maskable", "512x512")]
    for icon in icons[1:]:
        width, height = struct.unpack(">II", shop.client.get(icon["src"]).data[16:24])
        assert f"{width}x{height}" == icon["sizes"]


def test_no_page_of_a_customer_holds_a_style_or_a_script(shop: Shop) -> None:
    shop.works()
    path = shop.own_page()
    pages = [shop.client.get(each) for each in ("/book/acme", path, f"{path}/cancel", f"{path}/details")]

    for page in [*pages, shop.send(name="")]:
        assert not re.search(r"<style|<script|<[a-z][^>]*\s(style|on\w+)=", page.text)
        assert "unsafe" not in page.headers["Content-Security-Policy"]
