"""`/work` over HTTP: what a freelancer is asked and answers, its day, its duty, what it earned. Everything works
without a script; an answer that comes too late is told in a sentence on the same page."""

import re
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import Engine
from sqlmodel import Session, select
from werkzeug.test import TestResponse

from api.pages.languages import CODES, language_of
from dispatch.events import Event
from dispatch.offer import Offer, OfferStatus
from dispatch.settings import Settings
from dispatch.technician import Technician
from tests.pages.field import DAY, Field, Phone, build_field, joined, read, registration
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

OTHERS = [code for code in CODES if code != "en"]
ENGLISH = re.compile(r"\b(the|your|you|will|this|what|arrived|accept|decline)\b", re.IGNORECASE)
TODAY = f"/work/day?date={DAY}"


@pytest.fixture
def field(app: Flask, client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Field:
    return build_field(client, app.test_client, engine, settings, clock)


@pytest.fixture
def phone(field: Field) -> Phone:
    return field.phone


def told(phone: Phone, path: str, **fields: str) -> tuple[int, str]:
    """How a form is answered that cannot be taken, and what is read on the page."""
    response = phone.send(path, **fields)
    assert response.mimetype == "text/html"
    return response.status_code, read(response)


# Signing in


def test_who_signs_in_with_a_technicians_key_lands_on_its_page(app: Flask, field: Field) -> None:
    signed_in = Phone(app.test_client()).sign_in(field.acme.ada_key)

    assert (signed_in.status_code, signed_in.location) == (303, "/work")


def test_nobody_else_gets_further_than_the_sign_in(app: Flask, field: Field) -> None:
    stranger, dispatcher = Phone(app.test_client()), Phone(app.test_client())
    dispatcher.sign_in(field.acme.dispatcher)
    offer_id = field.ask()

    for caller in (stranger, dispatcher):
        assert caller.client.get(TODAY).location == f"/login?next=/work/day?date%3D{DAY}"
    assert stranger.send(f"/work/offers/{offer_id}/accept").location == "/login?next=/work"
    assert field.visit()["status"] == "scheduled"


def test_a_form_without_the_sessions_token_changes_nothing(field: Field, phone: Phone) -> None:
    offer_id = field.ask()

    response = phone.client.post(f"/work/offers/{offer_id}/accept", headers={"Accept-Language": "de"})

    assert (response.status_code, response.mimetype) == (403, "text/html")
    assert '<html lang="de"' in response.text
    assert 'href="/work"' in response.text
    assert field.offer(offer_id)["status"] == "pending"


# Offers


def test_an_offer_tells_all_before_it_asks_and_no_more(field: Field, phone: Phone) -> None:
    field.ask()

    shown = read(phone.see("/work"))

    for part in (
        "Leak repair Acme",
        "$60 $57.99 an hour after the detour",
        "Answer until 9 am",
        "Wednesday, 3 March 2027, 8\u2060–\u206010 am planned start: 9:05 am",
        "Work 1 h needs: plumbing (level 2)",
        "Travel 6 min, 1.6 km adds 2 min of driving to your day",
        "Area Brooklyn, New York",
        "You are verified for: plumbing (level 2).",
    ):
        assert part in shown.replace("\u00a0", " "), part
    assert "geo:40.710000,-73.990000" in phone.see("/work").text
    for secret in ("Elm", "Casey", "Ring twice", "40.711", "555"):
        assert secret not in phone.see("/work").text


def test_times_are_those_of_the_technicians_own_walls(field: Field, phone: Phone, engine: Engine) -> None:
    with Session(engine) as session:
        ada = session.exec(select(Technician)).one()
        ada.time_zone = "America/Los_Angeles"
        session.add(ada)
        session.commit()
    field.ask()

    shown = read(phone.see("/work")).replace("\u00a0", " ")

    assert "planned start: 6:05 am" in shown
    assert "Answer until 6 am" in shown


def test_an_accepted_visit_is_the_technicians_with_its_address(field: Field, phone: Phone) -> None:
    offer_id = field.ask()
    phone.see("/work")

    shown = phone.sent(f"/work/offers/{offer_id}/accept")
    again = phone.sent(f"/work/offers/{offer_id}/accept")

    assert "The visit is yours." in shown
    assert "7 Elm Street, Brooklyn, New York" in shown
    assert "Give it back" in shown
    assert "This visit is yours already." in again
    assert field.visit()["status"] == "dispatched"


def test_the_second_to_accept_is_told_that_somebody_was_faster(field: Field, phone: Phone) -> None:
    bo = joined(field.acme, "Bo Second")
    ids = [field.acme.ada["id"], bo["id"]]
    path = f"/v1/appointments/{field.visits[0]['id']}/offers"
    body = {"strategy": "broadcast", "technician_ids": ids}
    mine, theirs = field.acme.client.create(path, body, key=field.acme.dispatcher)["items"]
    before = read(phone.see("/work"))
    field.acme.client.act(f"/v1/offers/{theirs['id']}/accept", key=bo["key"])

    status, shown = told(phone, f"/work/offers/{mine['id']}/accept")

    assert "Several are asked at once" in before
    assert status == 409
    assert "Somebody else accepted first." in shown
    assert "Leak repair, Wednesday, 3 March 2027" in shown
    assert "Bo" not in shown


def test_an_answer_after_its_time_is_told_that_it_is_too_late(
    field: Field, phone: Phone, clock: FakeClock
) -> None:
    offer_id = field.ask()
    phone.see("/work")
    clock.advance(minutes=61)

    answers = [told(phone, f"/work/offers/{offer_id}/{verb}") for verb in ("accept", "decline")]

    assert [status for status, _ in answers] == [410, 410]
    assert all("The time to answer was over." in shown for _, shown in answers)
    assert "Not answered in time" in read(phone.see("/work"))


def test_a_visit_that_fits_no_more_is_not_taken(field: Field, phone: Phone) -> None:
    shifts = f"/v1/technicians/{field.acme.ada['id']}/shifts"
    path = f"/v1/appointments/{field.visits[0]['id']}/offers"
    body = {"strategy": "broadcast", "technician_ids": [field.acme.ada["id"]]}
    [offer] = field.acme.client.create(path, body, key=field.acme.dispatcher)["items"]
    other = field.acme.client.create(
        f"/v1/appointments/{field.visits[1]['id']}/offers", body, key=field.acme.dispatcher
    )
    phone.see("/work")
    [shift] = field.acme.client.read(shifts, key=field.acme.ada_key, **{"from": DAY, "to": DAY})["items"]
    gone = field.acme.client.call("DELETE", f"{shifts}/{shift['id']}", key=field.acme.ada_key)
    assert (len(other["items"]), gone.status_code) == (1, 200)

    status, shown = told(phone, f"/work/offers/{offer['id']}/accept")

    assert status == 409
    assert "It does not fit any more" in shown
    assert field.visit()["status"] == "unassigned"


def test_an_offer_that_was_taken_back_is_told_so(field: Field, phone: Phone) -> None:
    offer_id = field.ask()
    phone.see("/work")
    field.acme.client.act(f"/v1/offers/{offer_id}/withdraw", key=field.acme.dispatcher)

    status, shown = told(phone, f"/work/offers/{offer_id}/accept")

    assert status == 409
    assert "This offer stands no more" in shown
    assert "Taken back" in shown


def test_a_decline_may_say_why_and_stands(field: Field, phone: Phone, session: Session) -> None:
    offer_id = field.ask()
    assert "This cannot be undone" in read(phone.see("/work"))

    shown = phone.sent(f"/work/offers/{offer_id}/decline", reason="Too far today.")
    status, late = told(phone, f"/work/offers/{offer_id}/accept")

    assert "You declined. Nothing else changes for you." in shown
    assert session.get_one(Offer, offer_id).answer_reason == "Too far today."
    assert status == 409
    assert "You declined this offer before, and that stands." in late


def test_one_form_without_any_question_declines_and_a_second_changes_nothing(
    field: Field, phone: Phone, session: Session
) -> None:
    offer_id = field.ask()
    page = phone.see("/work").text
    [form] = re.findall(r'<form class="decline".*?</form>', page, re.DOTALL)

    shown = phone.sent(f"/work/offers/{offer_id}/decline")
    again = phone.sent(f"/work/offers/{offer_id}/decline", reason="Too far today.")

    assert f'action="/work/offers/{offer_id}/decline"' in form
    assert re.findall(r'<input[^>]+name="([^"]+)"', form) == ["csrf_token"]
    assert "You declined. Nothing else changes for you." in shown
    assert "You declined. Nothing else changes for you." in again
    offer = session.get_one(Offer, offer_id)
    declines = session.exec(select(Event).where(Event.type == "offer.declined")).all()
    assert (offer.status, offer.answer_reason, len(declines)) == (OfferStatus.DECLINED, None, 1)


def test_who_declined_is_told_so_also_after_somebody_else_took_the_visit(field: Field, phone: Phone) -> None:
    bo, offer_id = joined(field.acme, "Bo Second"), field.ask()
    phone.see("/work")
    phone.send(f"/work/offers/{offer_id}/decline")
    theirs = field.ask(technician_ids=[bo["id"]])
    field.acme.client.act(f"/v1/offers/{theirs}/accept", key=bo["key"])

    status, shown = told(phone, f"/work/offers/{offer_id}/accept")

    assert (status, "You declined this offer before" in shown) == (409, True)


def test_another_pay_is_asked_for_and_its_answer_found_on_the_page(field: Field, phone: Phone) -> None:
    offer_id = field.ask()
    phone.see("/work")

    shown = phone.sent(f"/work/offers/{offer_id}/counter", pay="$95.50", note="Heavy.")
    status, early = told(phone, f"/work/offers/{offer_id}/accept")
    counter = field.offer(offer_id)["counter"]
    field.acme.client.act(f"/v1/offers/{offer_id}/counter/reject", key=field.acme.dispatcher)
    after = read(phone.see("/work"))

    assert "A dispatcher sees what you asked for" in shown
    assert "You asked for $95.50." in shown
    assert (counter["pay"]["amount"], counter["note"]) == (9550, "Heavy.")
    assert (status, "a dispatcher decides first" in early) == (409, True)
    assert "You asked for $95.50; that was turned down." in after
    assert "Accept" in after


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pay": "a lot", "note": "Heavy."}, "Write an amount, such as $110."),
        ({"pay": "99999999999"}, "Write an amount, such as $110."),
        ({"pay": "90", "note": "x" * 2001}, "Write at most 2000 characters here."),
    ],
)
def test_a_counter_offer_that_cannot_be_read_is_shown_again_as_it_was_typed(
    field: Field, phone: Phone, fields: dict[str, str], said: str
) -> None:
    offer_id = field.ask()
    phone.see("/work")

    response = phone.send(f"/work/offers/{offer_id}/counter", **fields)

    assert response.status_code == 422
    assert said in read(response)
    assert f'value="{fields["pay"]}"' in response.text
    assert 'aria-invalid="true"' in response.text
    assert field.offer(offer_id)["status"] == "pending"


def test_an_offer_to_somebody_else_is_as_good_as_none(field: Field, phone: Phone) -> None:
    bo = joined(field.acme, "Bo Second")
    theirs = field.ask(technician_ids=[bo["id"]])
    phone.see("/work")

    assert phone.send(f"/work/offers/{theirs}/accept").status_code == 404
    assert phone.send("/work/offers/none/accept").status_code == 404
    assert phone.client.get(f"/work?told=accepted&of={theirs}").status_code == 404


# The day


def test_the_day_lists_visits_with_the_way_between_them(field: Field, phone: Phone) -> None:
    field.take()

    page = phone.see(TODAY)
    shown = read(page).replace("\u00a0", " ").replace("\u2060", "")

    assert "You work 9 am–5 pm. All times are New York time (EST)." in shown
    assert "Visits: 2 Travel in all: 9 min, 2 km" in shown
    assert (
        "Travel: 6 min, 1.6 km 1 9:05–10:05 am Leak repair Yours promised to the customer: 8–10 am" in shown
    )
    assert "7 Elm Street, Brooklyn, New York For Casey · Acme Ring twice." in shown
    assert 'href="geo:40.711000,-73.992000?q=40.711000,-73.992000"' in page.text
    assert "Planned, not settled yet" in shown
    for secret in ("Oak", "Dana", "Jones", "40.713"):
        assert secret not in page.text


def test_an_offered_visit_of_the_day_leads_to_its_offer(field: Field, phone: Phone) -> None:
    offer_id = field.ask()

    page = phone.see(TODAY).text

    assert "Offered to you" in page
    assert f'href="/work#offer-{offer_id}"' in page


def test_a_visit_is_moved_on_tap_by_tap(field: Field, phone: Phone, clock: FakeClock) -> None:
    path = f"/work/visits/{field.take()}/progress"
    assert "I am on the way" not in read(phone.see(TODAY)), "a day ahead it would be a slip"
    clock.advance(hours=24)
    statuses, seen = [], []

    phone.see(TODAY)
    for status in ("en_route", "dispatched", "en_route", "on_site", "completed"):
        seen.append(phone.sent(path, status=status, date=DAY))
        statuses.append(field.visit()["status"])
    again = phone.send(path, status="completed", date=DAY)

    assert statuses == ["en_route", "dispatched", "en_route", "on_site", "completed"]
    assert "Not on the way after all" in seen[0]
    assert "I am on the way" in seen[1]
    assert "The work is done" in seen[3]
    assert "Done" in seen[4]
    assert again.location == f"{TODAY}#visit-{field.visits[0]['id']}"


def test_a_step_from_an_outdated_page_is_told_how_the_visit_stands(
    field: Field, phone: Phone, clock: FakeClock
) -> None:
    path = f"/work/visits/{field.take()}/progress"
    clock.advance(hours=24)
    phone.see(TODAY)
    for status in ("en_route", "on_site"):
        field.acme.progress(field.visits[0]["id"], status)

    status_code, shown = told(phone, path, status="dispatched", date=DAY)

    assert status_code == 409
    assert "the visit stands otherwise by now: You have arrived." in shown
    assert "The work is done" in shown


def test_what_cannot_be_completed_needs_a_reason_and_may_be_followed(
    field: Field, phone: Phone, clock: FakeClock
) -> None:
    visit = field.take()
    clock.advance(hours=24)
    phone.see(TODAY)
    for status in ("en_route", "on_site"):
        phone.sent(f"/work/visits/{visit}/progress", status=status, date=DAY)

    status_code, refused = told(phone, f"/work/visits/{visit}/progress", status="cannot_complete", date=DAY)
    ended = phone.sent(
        f"/work/visits/{visit}/progress", status="cannot_complete", date=DAY, reason="A part is missing."
    )
    followed = phone.sent(f"/work/visits/{visit}/follow-up", date=DAY, reason="Bring the part.")

    assert (status_code, "say why" in refused) == (422, True)
    assert "Could not be completed" in ended
    assert "A follow-up visit is asked for." in followed
    listed = field.acme.client.read("/v1/service-requests", key=field.acme.dispatcher)["items"]
    assert [item["notes"] for item in listed if item["follow_up_of"]] == ["Bring the part.\n\nRing twice."]


def test_an_accepted_visit_can_be_given_back_with_a_reason(field: Field, phone: Phone) -> None:
    visit = field.take()
    phone.see(TODAY)

    without = told(phone, f"/work/visits/{visit}/release", date=DAY, reason=" ")
    shown = phone.sent(f"/work/visits/{visit}/release", date=DAY, reason="The van broke down.")
    again = told(phone, f"/work/visits/{visit}/release", date=DAY, reason="The van broke down.")

    assert (without[0], "say why" in without[1]) == (422, True)
    assert "You gave the visit back." in shown
    assert (again[0], "This visit is not yours, or not any more." in again[1]) == (404, True)
    assert field.visit()["status"] == "unassigned"
    assert field.visit()["arrival_window"] == field.visits[0]["arrival_window"]


def test_who_will_be_late_says_by_how_much_and_takes_it_back(
    field: Field, phone: Phone, clock: FakeClock
) -> None:
    visit = field.take()
    clock.advance(hours=24)
    phone.see(TODAY)

    late = phone.sent(f"/work/visits/{visit}/late", date=DAY, by_s="1800")
    expected = field.visit()["expected_start"]
    on_time = phone.sent(f"/work/visits/{visit}/late", date=DAY, by_s="0")

    assert "You said that you begin at 9:35 am." in late
    assert expected.startswith(f"{DAY}T14:35")
    assert "as planned after all" in on_time
    assert field.visit()["expected_start"] is None
    assert phone.send(f"/work/visits/{visit}/late", date=DAY, by_s="7").status_code == 422


def picture() -> bytes:
    drawn = BytesIO()
    Image.new("RGB", (2, 2)).save(drawn, "PNG")
    return drawn.getvalue()


def send_photo(phone: Phone, visit: str, content: bytes) -> TestResponse:
    fields = {"csrf_token": phone.token, "date": DAY, "photo": (BytesIO(content), "photo.png")}
    return phone.client.post(f"/work/visits/{visit}/photo", data=fields)


def test_a_visit_is_proved_by_the_customers_code_or_a_photo(
    field: Field, phone: Phone, clock: FakeClock, settings: Settings, engine: Engine
) -> None:
    visit = field.take()
    clock.advance(hours=24)
    phone.see(TODAY)
    for status in ("en_route", "on_site"):
        phone.sent(f"/work/visits/{visit}/progress", status=status, date=DAY)

    wrong = phone.sent(f"/work/visits/{visit}/code", date=DAY, code="12")
    code = phone.sent(f"/work/visits/{visit}/code", date=DAY, code=field.code_of(settings, engine))
    no_photo, photo = send_photo(phone, visit, b"no picture"), send_photo(phone, visit, picture())

    assert "This is not the code of this visit." in wrong
    assert "Kept as proof of the visit." in code
    assert (no_photo.status_code, "Send a photo (JPEG, PNG or WebP)" in read(no_photo)) == (415, True)
    assert photo.status_code == 303
    proofs = field.acme.client.read(f"/v1/appointments/{visit}/proof", key=field.acme.dispatcher)["items"]
    assert [proof["kind"] for proof in proofs] == ["code", "photo"]


def test_a_visit_of_somebody_else_is_as_good_as_none(field: Field, phone: Phone) -> None:
    bo = joined(field.acme, "Bo Second")
    offer_id = field.ask(technician_ids=[bo["id"]])
    field.acme.client.act(f"/v1/offers/{offer_id}/accept", key=bo["key"])
    phone.see(TODAY)

    for visit in (field.visits[0]["id"], "none"):
        status, shown = told(phone, f"/work/visits/{visit}/progress", date=DAY, status="en_route")
        assert (status, "This visit is not yours" in shown) == (404, True)
        assert "Elm" not in shown


@pytest.mark.parametrize("said", ["", "yesterday", "0001-01-01", "9999-12-31", "2027-02-30"])
def test_a_day_that_is_none_is_today(field: Field, phone: Phone, said: str) -> None:
    assert "Tuesday, 2 March 2027 today" in read(phone.see(f"/work/day?date={said}"))
    assert "1 March to 7 March" in read(phone.see(f"/work/earnings?date={said}"))


# Why, and a person who looks again


def test_why_one_was_asked_or_not_is_told_and_a_person_looks_again_once(field: Field, phone: Phone) -> None:
    joined(field.acme, "Bo Second")
    path = f"/v1/appointments/{field.visits[0]['id']}/offers"
    field.acme.client.create(path, {"strategy": "cascade"}, key=field.acme.dispatcher)
    page = phone.see("/work/decisions")
    [decision] = re.findall(r'id="decision-([^"]+)"', page.text)

    asked = phone.send(f"/work/decisions/{decision}/review", reason="I live nearer.", page="1")
    again = told(phone, f"/work/decisions/{decision}/review", reason="", page="1")
    [review] = field.acme.client.read("/v1/reviews", key=field.acme.dispatcher)["items"]
    answer = {"answer": "Your address was wrong.", "outcome": "changed"}
    field.acme.client.act(f"/v1/reviews/{review['id']}/answer", answer, key=field.acme.dispatcher)

    assert "You were asked" in read(page)
    assert "You are verified for: plumbing (level 2)." in read(page)
    assert "From the place before it is 1.6 km and 6 min." in read(page)
    assert "Bo" not in page.text.partition("<main")[2]
    assert asked.location == f"/work/decisions?page=1#decision-{decision}"
    assert review["note"] == "I live nearer."
    assert (again[0], "You asked about this already." in again[1]) == (409, True)
    assert "A person looks again and answers by 16 March, 9 am." in again[1]
    after = read(phone.see("/work/decisions"))
    assert "the decision was changed. Your address was wrong." in after


def test_who_was_passed_over_reads_what_stood_in_the_way(app: Flask, field: Field) -> None:
    bo = joined(
        field.acme, "Bo Second", home={"lat": 40.9, "lon": -73.9, "address": "Far"}, max_travel_m=1000
    )
    path = f"/v1/appointments/{field.visits[0]['id']}/offers"
    field.acme.client.create(path, {"strategy": "cascade"}, key=field.acme.dispatcher)
    phone = Phone(app.test_client())
    phone.sign_in(bo["key"])

    shown = read(phone.see("/work/decisions"))

    assert "You were not asked, or not at once" in shown
    assert re.search(r"The place is farther away than you go\. \(2\d km\)", shown)


def test_a_decision_about_somebody_else_is_as_good_as_none(app: Flask, field: Field, phone: Phone) -> None:
    bo = joined(field.acme, "Bo Second")
    field.ask(technician_ids=[bo["id"]])
    theirs = Phone(app.test_client())
    theirs.sign_in(bo["key"])
    [decision] = re.findall(r'id="decision-([^"]+)"', theirs.see("/work/decisions").text)
    phone.see("/work/decisions")

    for decision_id in (decision, "none"):
        assert phone.send(f"/work/decisions/{decision_id}/review").status_code == 404


# Duty and earnings


def test_duty_is_switched_where_one_is(field: Field, phone: Phone) -> None:
    phone.see(TODAY)

    answer = phone.send("/work/duty", status="available", next=TODAY)
    astray = phone.send("/work/duty", status="on_break", next="/board")

    assert (answer.location, astray.location) == (TODAY, "/work")
    assert re.search(r'value="on_break" aria-pressed="true"', phone.see("/work").text)
    me = field.acme.client.read("/v1/technicians/me", key=field.acme.ada_key)
    assert me["duty"] == "on_break"
    assert phone.send("/work/duty", status="asleep").status_code == 422


def test_a_weeks_earnings_are_itemised(field: Field, phone: Phone, clock: FakeClock) -> None:
    field.take()
    clock.advance(hours=24)
    for status in ("en_route", "on_site", "completed"):
        field.acme.progress(field.visits[0]["id"], status)

    shown, before = read(phone.see("/work/earnings")), read(phone.see("/work/earnings?date=2027-02-28"))

    assert "1 March to 7 March" in shown
    assert "$60 Pay for completed visits as it was agreed" in shown
    assert "Leak repair $60 3 March, 8 am · Acme For the work: 1 h at $60 $60" in shown
    assert "22 February to 28 February" in before
    assert "No paid visit was completed in this week." in before


# Who may not work


def test_who_is_not_approved_yet_reads_so_and_may_do_nothing(
    app: Flask, client: ApiClient, field: Field
) -> None:
    new = client.create("/v1/technicians", registration("Cy Third"))
    phone = Phone(app.test_client())
    phone.sign_in(new["api_key"])

    for path in ("/work", "/work/day", "/work/earnings", "/work/decisions"):
        shown = read(phone.see(path))
        assert "Acme has not approved you yet." in shown
        assert "Offers and visits appear here once somebody has approved you." in shown
        assert "Available" not in shown
    assert phone.send("/work/duty", status="available").status_code == 403


def test_who_is_suspended_reads_why_and_what_it_still_may(field: Field, phone: Phone) -> None:
    offer_id = field.ask()
    phone.see("/work")
    path = f"/v1/technicians/{field.acme.ada['id']}/suspend"
    field.acme.client.act(path, {"reason": "The insurance has run out."}, key=field.acme.dispatcher)

    status, refused = told(phone, f"/work/offers/{offer_id}/accept")
    shown = read(phone.see("/work"))

    assert (status, "does not let you work at the moment" in refused) == (403, True)
    assert "Acme has suspended you. The reason: The insurance has run out." in shown
    assert "You may still read what you earned" in shown
    assert "Taken back" in shown
    assert phone.see("/work/earnings").status_code == 200
    assert "You were suspended" in read(phone.see("/work/decisions"))
    assert "Visits:" not in read(phone.see(TODAY))


# Languages


def various(field: Field, phone: Phone, clock: FakeClock) -> list[TestResponse]:
    """Every part of the pages, with an offer, a visit under way, and what was refused."""
    field.take(1)
    offer_id = field.ask()
    pages = [phone.see("/work"), phone.see(TODAY)]
    pages.append(phone.send(f"/work/offers/{offer_id}/counter", pay="?"))
    phone.send(f"/work/offers/{offer_id}/counter", pay="90")
    pages.append(phone.see(f"/work?told=countered&of={offer_id}"))
    pages.append(phone.send(f"/work/offers/{offer_id}/accept"))
    clock.advance(hours=24)
    visit = field.visits[1]["id"]
    pages.append(phone.see(TODAY))
    for status in ("en_route", "on_site"):
        phone.send(f"/work/visits/{visit}/progress", date=DAY, status=status)
        pages.append(phone.see(TODAY))
    pages.append(phone.send(f"/work/visits/{visit}/progress", date=DAY, status="dispatched"))
    pages.append(phone.send(f"/work/visits/{visit}/progress", date=DAY, status="cannot_complete"))
    phone.send(f"/work/visits/{visit}/progress", date=DAY, status="completed")
    pages += [phone.see(TODAY), phone.see("/work/earnings"), phone.see("/work/decisions")]
    pages += [
        phone.see(f"{TODAY}&told={said}") for said in ("late", "on_time", "proved", "follow_up", "wrong_code")
    ]
    return pages


@pytest.mark.parametrize("code", OTHERS)
def test_every_page_speaks_the_technicians_own_language(
    field: Field, phone: Phone, clock: FakeClock, code: str
) -> None:
    me = {"languages": ["tlh", f"{code}-XX"]}
    field.acme.client.change("/v1/technicians/me", me, key=field.acme.ada_key)

    for page in various(field, phone, clock):
        assert f'<html lang="{code}" dir="{language_of(code).direction}">' in page.text
        shown = re.sub(r"Leak repair|Ring twice", "", read(page))
        assert not ENGLISH.search(shown), shown


def test_another_language_can_be_chosen_and_stays(field: Field, phone: Phone) -> None:
    offer_id = field.ask()
    page = phone.see("/work?lang=de").text

    answer = phone.send(f"/work/offers/{offer_id}/accept", lang="de")
    duty = phone.send("/work/duty", status="available", next="/work?lang=de", lang="de")

    assert '<html lang="de"' in page
    assert page.count('name="lang" value="de"') == page.count('method="post"') - 1, "all but the sign-out"
    assert 'href="/work/day?lang=de"' in page
    assert answer.location == f"/work?lang=de&told=accepted&of={offer_id}"
    assert duty.location == "/work?lang=de"


def test_what_people_wrote_is_shown_as_they_wrote_it(field: Field, phone: Phone) -> None:
    path = f"/v1/service-requests/{field.visits[0]['service_request_id']}"
    changes: dict[str, Any] = {"notes": "<b>Ring</b>", "customer": {"name": "<i>Casey</i> Jones"}}
    field.acme.client.change(path, changes, key=field.acme.dispatcher)
    field.take()

    page = phone.see(TODAY).text

    assert "&lt;b&gt;Ring&lt;/b&gt;" in page
    assert "&lt;i&gt;Casey&lt;/i&gt;" in page


def test_the_pages_are_kept_nowhere(field: Field, phone: Phone) -> None:
    for path in ("/work", TODAY, "/work/earnings", "/work/decisions"):
        assert phone.see(path).headers["Cache-Control"] == "no-store"
