"""`/work` in a browser, on a phone of 360 px: it fits, fingers find what they aim at, countdowns run out, and answers
come without the page being left. With `PICTURES=docs/images` in the environment it leaves the README's pictures there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from dispatch.settings import Settings
from tests.pages.conftest import serving
from tests.pages.field import DAY, Field, build_field, joined
from tests.pages.test_browser import RULES
from tests.pages.test_customers_way import PHONE, keep, pictures
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

__all__ = ["pictures"]

NARROW, WIDE = 360, 1280
LEAST_TARGET_PX = 44
DOUBLE_TAP_MS = 500
TAP_EVERYTHING = """first => {
  document.getElementById(first).click();
  document.querySelectorAll('.undo, .answers form > button').forEach(each => each.click());
}"""
HIDE = """() => {
  Object.defineProperty(document, 'hidden', { value: true, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
TARGETS = """() => [...document.querySelectorAll('a, button, input, summary')]
  .filter(each => each.type !== 'hidden' && each.checkVisibility() && !each.matches('.skip, .unseen, .leaflet-bar a'))
  .map(each => [each.outerHTML.slice(0, 90), each.getBoundingClientRect()])
  .map(([html, box]) => [html, Math.min(box.width, box.height)])"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A page looks alike on every database: once is enough."""
    return sqlite_url


@pytest.fixture
def field(app: Flask, client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Field:
    return build_field(client, app.test_client, engine, settings, clock)


@pytest.fixture
def work_site(app: Flask, field: Field) -> Iterator[str]:
    """The address at which the application serves the field."""
    with serving(app) as site:
        yield site


@contextmanager
def opened(browser: Browser, site: str, field: Field, width: int = NARROW, **how: Any) -> Iterator[Page]:
    """A page that is signed in, asks nobody else for anything and complains of nothing but refusals."""
    height = PHONE["height"]
    context = browser.new_context(viewport={"width": width, "height": height}, **{"locale": "en-US"} | how)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(site) else None)
    page.goto(f"{site}/login")
    page.locator("#key").fill(field.acme.ada_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/work")
    yield page
    assert complaints == []
    context.close()


@contextmanager
def offered(browser: Browser, site: str, field: Field) -> Iterator[Page]:
    """The offers on a phone that is touched, whose clock a test moves on."""
    with opened(browser, site, field, has_touch=True, is_mobile=True) as page:
        page.clock.install()
        page.reload()
        yield page


def decline(page: Page, offer: str = "") -> None:
    """Taps, and waits until the next tap is no more the second half of a double tap."""
    page.locator(f"#decline-{offer}" if offer else ".decline button").tap()
    expect(page.locator(f"#undo-{offer}" if offer else ".undo")).to_be_focused()
    page.clock.run_for(DOUBLE_TAP_MS)


def eventually(holds: Callable[[], bool]) -> None:
    """What a page that is gone has sent is there within some seconds."""
    until = monotonic() + 10
    while not holds():
        assert monotonic() < until
        sleep(0.02)


def check(page: Page, name: str) -> None:
    """It fits, every target is large enough, and the checker finds nothing; closed parts opened."""
    page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true })")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    small = [each for each in page.evaluate(TARGETS) if each[1] < LEAST_TARGET_PX]
    found = Axe().run(page, options=RULES)

    assert overflow <= 0, name
    assert small == [], name
    assert found.violations_count == 0, f"{name}\n{found.generate_report()}"


@pytest.mark.parametrize(
    ("width", "language", "scheme"),
    [(NARROW, "en", "light"), (NARROW, "fa", "dark"), (NARROW, "de", "light"), (WIDE, "en", "dark")],
)
def test_every_part_fits_and_is_accessible(
    browser: Browser, work_site: str, field: Field, clock: FakeClock, width: int, language: str, scheme: str
) -> None:
    visit = field.take(1)
    offer = field.ask()
    lang = f"lang={language}"
    with opened(browser, work_site, field, width, color_scheme=scheme) as page:
        page.goto(f"{work_site}/work?{lang}")
        check(page, "offers")
        page.goto(f"{work_site}/work/day?date={DAY}&{lang}")
        expect(page.locator(".pin.visit")).to_have_count(2)
        check(page, "day")
        field.acme.accept(offer)
        page.goto(f"{work_site}/work?told=accepted&of={offer}&{lang}")
        check(page, "accepted")
        clock.advance(hours=24)
        for status in ("en_route", "on_site", "completed"):
            field.acme.progress(visit, status)
            page.goto(f"{work_site}/work/day?date={DAY}&{lang}")
            check(page, status)
        page.goto(f"{work_site}/work/earnings?{lang}")
        check(page, "earnings")
        page.goto(f"{work_site}/work/decisions?{lang}")
        check(page, "decisions")
        page.locator("header summary").click()
        check(page, "languages")


def test_an_offer_is_accepted_without_leaving_the_page(
    browser: Browser, work_site: str, field: Field
) -> None:
    offer = field.ask()
    with opened(browser, work_site, field) as page:
        page.evaluate("window.stays = true")
        page.reload()
        page.evaluate("window.stays = true")
        expect(page.locator(f"#offer-{offer} .left")).to_have_text("1:00:00 left")

        page.get_by_role("button", name="Accept").click()

        expect(page.locator("#said")).to_be_focused()
        expect(page.locator("#said")).to_contain_text("The visit is yours.")
        expect(page.locator("#said")).to_contain_text("7 Elm Street")
        assert page.evaluate("window.stays")
        assert field.visit()["status"] == "dispatched"
        page.get_by_role("link", name="See it in my day").click()
        expect(page.locator(f"#visit-{field.visits[0]['id']}")).to_be_focused()


def test_a_decline_takes_one_tap_and_is_sent_when_the_time_to_undo_is_over(
    browser: Browser, work_site: str, field: Field
) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        decline(page)
        expect(page.locator("#news")).to_have_text("Declined")
        expect(page.locator(f"#offer-{offer}")).to_contain_text("Declined 0:10 left")
        assert field.offer(offer)["status"] == "pending"
        check(page, "declined")

        page.clock.run_for(10_000)

        expect(page.locator("#said")).to_be_focused()
        expect(page.locator("#said")).to_contain_text("You declined.")
        expect(page.locator(".offer")).to_have_count(0)
        assert field.offer(offer)["status"] == "declined"


def test_a_decline_that_is_undone_was_never_sent(browser: Browser, work_site: str, field: Field) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        decline(page)
        page.clock.run_for(9_000)

        page.get_by_role("button", name="Undo").click()

        expect(page.get_by_role("button", name="Decline")).to_be_focused()
        page.clock.run_for(20_000)
        page.goto("about:blank")
        assert field.offer(offer)["status"] == "pending"
        page.goto(f"{work_site}/work")
        page.get_by_role("button", name="Accept").click()
        expect(page.locator("#said")).to_contain_text("The visit is yours.")


@pytest.mark.parametrize("leaving", ["hide", "close", "reload", "sign out"])
def test_a_decline_is_sent_at_once_when_the_page_is_left(
    browser: Browser, work_site: str, field: Field, leaving: str
) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        decline(page)

        match leaving:
            case "hide":
                page.evaluate(HIDE)
            case "close":
                page.close()
            case "reload":
                page.reload()
                expect(page.locator("#said")).to_contain_text("You declined.")
                expect(page.locator(".offer")).to_have_count(0)
            case _:
                page.get_by_role("button", name="Sign out").click()
                page.wait_for_url(f"{work_site}/")

        eventually(lambda: field.offer(offer)["status"] == "declined")


def test_a_decline_that_the_page_could_not_send_as_it_was_left_is_sent_by_the_next(
    browser: Browser, work_site: str, field: Field
) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        decline(page)
        page.evaluate("() => { window.fetch = () => new Promise(() => {}) }")
        page.reload()

        expect(page.locator("#said")).to_contain_text("You declined.")

        assert field.offer(offer)["status"] == "declined"


def test_a_decline_arrives_before_the_answer_that_was_given_after_it(
    browser: Browser, work_site: str, field: Field
) -> None:
    first, second = field.ask(), field.ask(1)
    with offered(browser, work_site, field) as page:
        decline(page, first)

        page.locator(f"#accept-{second}").click()

        expect(page.locator("#said")).to_contain_text("The visit is yours.")
        expect(page.locator(".offer")).to_have_count(0)
        assert [field.offer(each)["status"] for each in (first, second)] == ["declined", "accepted"]


def test_each_of_several_declines_can_be_undone_while_another_is_sent(
    browser: Browser, work_site: str, field: Field
) -> None:
    first, second = field.ask(), field.ask(1)
    with offered(browser, work_site, field) as page:
        decline(page, first)
        page.clock.run_for(5_000)
        decline(page, second)
        page.clock.run_for(5_000)
        expect(page.locator(f"#offer-{first}")).to_have_count(0)
        expect(page.locator(f"#undo-{second}")).to_be_focused()
        assert field.offer(first)["status"] == "declined"

        page.locator(f"#undo-{second}").click()

        page.clock.run_for(20_000)
        expect(page.locator(f"#decline-{second}")).to_be_visible()
        assert field.offer(second)["status"] == "pending"


def test_the_second_half_of_a_double_tap_answers_nothing(
    browser: Browser, work_site: str, field: Field
) -> None:
    offers = [field.ask(), field.ask(1)]
    with offered(browser, work_site, field) as page:
        for offer in offers:
            page.evaluate(TAP_EVERYTHING, f"decline-{offer}")
            page.clock.run_for(DOUBLE_TAP_MS)

        expect(page.get_by_role("button", name="Undo")).to_have_count(2)
        assert [field.offer(offer)["status"] for offer in offers] == ["pending", "pending"]


def test_the_keyboard_holds_the_time_to_undo_but_not_for_ever(
    browser: Browser, work_site: str, field: Field
) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        page.locator(f"#accept-{offer}").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(f"#undo-{offer}")).to_be_focused()
        page.clock.run_for(90_000)
        expect(page.locator(f"#offer-{offer}")).to_contain_text("0:10 left")
        assert field.offer(offer)["status"] == "pending"

        page.clock.run_for(10_000)

        expect(page.locator("#said")).to_contain_text("You declined.")
        assert field.offer(offer)["status"] == "declined"


def test_an_offer_about_to_run_out_is_declined_before_it_does(
    browser: Browser, work_site: str, field: Field, clock: FakeClock
) -> None:
    offer = field.ask(expires_in_s=3600)
    with offered(browser, work_site, field) as page:
        clock.advance(minutes=59, seconds=57)
        page.reload()

        page.get_by_role("button", name="Decline").tap()

        expect(page.locator("#said")).to_contain_text("You declined.")
        assert field.offer(offer)["status"] == "declined"


def test_a_decline_that_comes_too_late_is_told_what_stands(
    browser: Browser, work_site: str, field: Field
) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        decline(page)
        field.acme.client.act(f"/v1/offers/{offer}/withdraw", key=field.acme.dispatcher)

        page.clock.run_for(10_000)

        expect(page.locator("#said")).to_contain_text("This offer stands no more")
        expect(page.locator(".offer")).to_have_count(0)


def test_a_decline_without_a_network_is_told_and_can_be_repeated(
    browser: Browser, work_site: str, field: Field
) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        decline(page)
        page.context.set_offline(True)
        page.clock.run_for(10_000)
        expect(page.locator("#said")).to_contain_text("No connection: nothing was sent.")
        page.context.set_offline(False)

        decline(page)
        page.clock.run_for(10_000)

        expect(page.locator("#said")).to_contain_text("You declined.")
        assert field.offer(offer)["status"] == "declined"


def test_a_decline_that_is_sent_leaves_what_is_being_written(
    browser: Browser, work_site: str, field: Field
) -> None:
    first, second = field.ask(), field.ask(1)
    with offered(browser, work_site, field) as page:
        decline(page, first)
        page.locator(f"#counter-{second} summary").tap()
        page.locator(f"#pay-{second}").fill("95")
        page.clock.run_for(10_000)

        expect(page.locator(f"#undo-{first}")).to_be_hidden()

        eventually(lambda: field.offer(first)["status"] == "declined")
        expect(page.locator(f"#pay-{second}")).to_have_value("95")


def test_who_says_why_declines_for_good(browser: Browser, work_site: str, field: Field) -> None:
    offer = field.ask()
    with offered(browser, work_site, field) as page:
        page.get_by_text("Decline and say why").tap()
        page.get_by_label("Why not?").fill("Too far today.")

        page.get_by_role("button", name="Yes, decline").tap()

        expect(page.locator("#said")).to_contain_text("You declined.")
        assert field.offer(offer)["status"] == "declined"


def test_another_pay_is_asked_for_on_the_card(browser: Browser, work_site: str, field: Field) -> None:
    offer = field.ask()
    with opened(browser, work_site, field) as page:
        page.reload()
        page.get_by_text("Ask for another pay").click()
        page.get_by_label("Your pay instead of $60").fill("much more")
        page.get_by_role("button", name="Ask for it").click()
        expect(page.get_by_label("Your pay instead of $60")).to_be_focused()
        expect(page.get_by_text("Write an amount, such as $110.")).to_be_visible()

        page.get_by_label("Your pay instead of $60").fill("95")
        page.get_by_role("button", name="Ask for it").click()

        expect(page.locator("#said")).to_contain_text("A dispatcher sees what you asked for")
        assert field.offer(offer)["counter"]["pay"]["amount"] == 9500


def test_a_countdown_runs_out_before_the_eyes(
    browser: Browser, work_site: str, field: Field, clock: FakeClock
) -> None:
    offer = field.ask(expires_in_s=3600)
    with opened(browser, work_site, field) as page:
        clock.advance(minutes=59, seconds=56)
        page.reload()
        card = page.locator(f"#offer-{offer}")
        expect(card.locator(".left")).to_have_text("0:03 left")
        clock.advance(seconds=5)

        expect(page.locator("#news")).to_have_text("The time to answer is over.")
        expect(card).to_have_count(0)
        expect(page.get_by_text("No offers now.")).to_be_visible()


def test_an_offer_that_somebody_else_took_is_told_where_one_is(
    browser: Browser, work_site: str, field: Field
) -> None:
    bo = joined(field.acme, "Bo Second")
    path = f"/v1/appointments/{field.visits[0]['id']}/offers"
    body = {"strategy": "broadcast", "technician_ids": [field.acme.ada["id"], bo["id"]]}
    _, theirs = field.acme.client.create(path, body, key=field.acme.dispatcher)["items"]
    with opened(browser, work_site, field) as page:
        page.reload()
        field.acme.client.act(f"/v1/offers/{theirs['id']}/accept", key=bo["key"])

        page.get_by_role("button", name="Accept").click()

        expect(page.locator("#said")).to_be_focused()
        expect(page.locator("#said")).to_contain_text("Somebody else accepted first.")
        expect(page.locator(".offer")).to_have_count(0)


def test_a_new_offer_appears_by_itself_but_never_under_what_is_written(
    browser: Browser, work_site: str, field: Field
) -> None:
    first = field.ask()
    with opened(browser, work_site, field) as page:
        page.reload()
        page.get_by_text("Decline and say why").click()
        page.get_by_label("Why not?").fill("Too")
        second = field.ask(1)
        page.evaluate("refresh()")
        expect(page.get_by_label("Why not?")).to_have_value("Too")
        expect(page.locator(f"#offer-{second}")).to_have_count(0)

        page.get_by_text("Decline and say why").click()
        page.evaluate("document.activeElement.blur(); refresh()")

        expect(page.locator(f"#offer-{second}")).to_be_visible()
        expect(page.locator(f"#offer-{first}")).to_be_visible()
        expect(page.locator("#news")).to_have_text("There are new offers.")


def test_a_tap_without_a_network_is_told_and_can_be_repeated(
    browser: Browser, work_site: str, field: Field
) -> None:
    field.ask()
    with opened(browser, work_site, field) as page:
        page.reload()
        page.context.set_offline(True)
        page.get_by_role("button", name="Accept").click()
        expect(page.locator("#said")).to_contain_text("No connection: nothing was sent.")
        page.context.set_offline(False)

        page.get_by_role("button", name="Accept").click()

        expect(page.locator("#said")).to_contain_text("The visit is yours.")


def test_a_visit_is_moved_on_to_its_end_by_taps(
    browser: Browser, work_site: str, field: Field, clock: FakeClock
) -> None:
    visit = field.take()
    clock.advance(hours=24)
    with opened(browser, work_site, field) as page:
        page.get_by_role("link", name="My day").click()
        stop = page.locator(f"#visit-{visit}")
        expect(page.locator(".pin.visit")).to_have_count(2)
        page.evaluate("window.stays = true")

        stop.get_by_role("button", name="I am on the way").click()
        expect(stop.locator(".state")).to_contain_text("You are on the way")
        stop.get_by_role("button", name="Not on the way after all").click()
        stop.get_by_role("button", name="I am on the way").click()
        stop.get_by_text("I will be late").click()
        stop.get_by_role("button", name="20 min").click()
        expect(stop.locator(".state")).to_contain_text("You said that you begin at 9:25 am.")
        stop.get_by_role("button", name="I have arrived").click()
        stop.get_by_role("button", name="The work is done").click()
        expect(stop.locator(".state")).to_contain_text("Done")

        assert page.evaluate("window.stays")
        expect(page.locator(".pin.visit")).to_have_count(2)
        assert field.visit()["status"] == "completed"
        page.get_by_role("button", name="Available").click()
        expect(page.get_by_role("button", name="Available")).to_have_attribute("aria-pressed", "true")


def test_all_of_it_works_without_a_script(
    browser: Browser, work_site: str, field: Field, clock: FakeClock
) -> None:
    field.ask()
    with opened(browser, work_site, field, java_script_enabled=False) as page:
        page.reload()
        expect(page.get_by_text("Answer until 9 am")).to_be_visible()
        expect(page.locator(".left")).to_be_hidden()
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_text("The visit is yours.")).to_be_visible()
        clock.advance(hours=24)
        page.goto(f"{work_site}/work/day?date={DAY}")
        page.get_by_role("button", name="I am on the way").click()
        expect(page.get_by_text("You are on the way")).to_be_visible()
        expect(page.locator("#map")).to_be_hidden()


def test_one_tap_declines_without_a_script(browser: Browser, work_site: str, field: Field) -> None:
    offer = field.ask()
    with opened(browser, work_site, field, java_script_enabled=False) as page:
        page.reload()
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)

        page.get_by_role("button", name="Decline").click()

        expect(page.get_by_text("You declined. Nothing else changes for you.")).to_be_visible()
        assert field.offer(offer)["status"] == "declined"


def test_the_pictures_of_a_freelancers_phone(
    browser: Browser, work_site: str, field: Field, clock: FakeClock, pictures: Path
) -> None:
    field.take()
    field.ask(1, pay={"amount": 8500, "currency": "USD"})
    with opened(browser, work_site, field, device_scale_factor=2) as page:
        page.reload()
        page.get_by_role("button", name="Available").click()
        expect(page.get_by_role("button", name="Available")).to_have_attribute("aria-pressed", "true")
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        keep(page, pictures, "work-1-offers")
        field.acme.accept(
            field.acme.client.read("/v1/technicians/me/offers", key=field.acme.ada_key, status="pending")[
                "items"
            ][0]["id"]
        )
        clock.advance(hours=24)
        page.goto(f"{work_site}/work/day")
        page.get_by_role("button", name="I am on the way").first.click()
        expect(page.get_by_text("You are on the way")).to_be_visible()
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        keep(page, pictures, "work-2-day")
        page.locator("#map").scroll_into_view_if_needed()
        keep(page, pictures, "work-3-map")
