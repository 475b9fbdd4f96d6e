"""A customer's pages in a browser: on a narrow phone and wide, by keyboard, from right to left, by a
checker of accessibility."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from dispatch.appointment import Status
from dispatch.settings import Settings
from tests.pages.conftest import ARGUMENTS, serving
from tests.pages.shop import ADDRESS, Shop, build_shop
from tests.pages.test_browser import RULES
from tests.support.acme import NEIGHBOURS
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

NARROW, WIDE = 360, 1280
LEAST_TARGET_PX = 24
"""WCAG 2.2, success criterion 2.5.8; links in a line of text are exempt."""
TARGETS = """() => [...document.querySelectorAll('main a, main button, main input, main summary, header summary')]
  .filter(each => each.type !== 'hidden' && each.checkVisibility() && !each.matches('.summary a, .card li a'))
  .map(each => [each.outerHTML.slice(0, 90), (each.closest('label') || each).getBoundingClientRect().height])"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A page looks alike on every database: once is enough."""
    return sqlite_url


@pytest.fixture
def shop(client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Shop:
    built = build_shop(client, engine, settings, clock)
    built.works()
    return built


@pytest.fixture
def shop_site(app: Flask, shop: Shop) -> Iterator[str]:
    """The address at which the application serves the shop."""
    with serving(app) as site:
        yield site


@contextmanager
def opened(
    browser: Browser, site: str, width: int, language: str = "en", scheme: str = "light"
) -> Iterator[Page]:
    """A page that must ask nobody else for anything."""
    context = browser.new_context(
        viewport={"width": width, "height": 740},
        locale=language,
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url) if not asked.url.startswith(site) else None)
    yield page
    assert elsewhere == []
    context.close()


def check(page: Page, name: str) -> None:
    """It fits, every target is large enough, and the checker finds nothing."""
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    small = [each for each in page.evaluate(TARGETS) if each[1] < LEAST_TARGET_PX]
    found = Axe().run(page, options=RULES)

    assert overflow <= 0, name
    assert small == [], name
    assert found.violations_count == 0, f"{name}\n{found.generate_report()}"


def fill(page: Page, address: str = ADDRESS) -> None:
    page.locator("#address").fill(address)
    page.locator("#name").fill("Casey Jones")
    page.locator("#phone").fill("(212) 555-0123")


def send(page: Page) -> None:
    page.locator("form.stack button").click()


@pytest.mark.parametrize(
    ("width", "language", "scheme"),
    [
        (NARROW, "en", "light"),
        (WIDE, "en", "dark"),
        (NARROW, "fa", "light"),
        (NARROW, "de", "dark"),
    ],
)
def test_every_step_fits_and_is_accessible(
    browser: Browser, shop_site: str, shop: Shop, width: int, language: str, scheme: str
) -> None:
    tag = f"{language}-{width}-{scheme}"
    with opened(browser, shop_site, width, language, scheme) as page:
        page.goto(f"{shop_site}/book/acme")
        assert page.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        check(page, f"{tag}-1-first")
        send(page)
        check(page, f"{tag}-2-errors")
        fill(page, "9 Oak Street")
        send(page)
        check(page, f"{tag}-3-ambiguous")
        page.locator("#candidate-0").check()
        send(page)
        page.wait_for_url("**/m/fd_*")
        check(page, f"{tag}-4-times")
        own = page.url
        page.locator(".confirm button").scroll_into_view_if_needed()
        page.locator("#slot-2").check()
        page.locator(".confirm button").click()
        page.wait_for_url("**/m/fd_*")
        check(page, f"{tag}-5-booked")
        for number, step in enumerate(("move", "cancel", "details"), 6):
            page.goto(f"{own}/{step}")
            check(page, f"{tag}-{number}-{step}")
        page.goto(f"{shop_site}/book/acme")
        page.locator("header summary").click()
        check(page, f"{tag}-9-languages")


def test_a_taken_time_no_time_and_a_visit_under_way_are_accessible(
    browser: Browser, shop_site: str, shop: Shop
) -> None:
    with opened(browser, shop_site, NARROW) as page:
        path = shop.own_page()
        page.goto(f"{shop_site}{path}?week=2")
        check(page, "none")
        page.goto(f"{shop_site}{path}")
        page.locator("#slot-0").check()
        for number in range(3):
            rival = shop.acme.request(f"Rival {number}", NEIGHBOURS)
            first = sorted(
                shop.acme.slots(rival)["items"], key=lambda slot: str(slot["arrival_window"]["start"])
            )
            shop.acme.book(rival, first[0])
        page.locator(".confirm button").click()
        expect(page.locator(".summary")).to_be_focused()
        check(page, "taken")
        page.locator(".summary a").first.click()
        expect(page.locator(".option:has(:checked)")).to_have_count(0)
        page.locator(".option:has(.hint) input").first.check()
        page.locator(".confirm button").click()
        page.wait_for_url(f"**{path}")
        shop.change_appointments(Status.EN_ROUTE)
        page.reload()
        check(page, "under-way")


def test_chromium_finds_nothing_in_the_way_of_installing(
    browser: Browser, shop_site: str, chromium: Path, tmp_path: Path
) -> None:
    """In a profile of its own: what forgets itself offers no installing."""
    lasting = browser.browser_type.launch_persistent_context(
        tmp_path / "profile", executable_path=chromium, args=list(ARGUMENTS)
    )
    page = lasting.new_page()
    devtools = lasting.new_cdp_session(page)

    found = {}
    for path in ("/book/acme", "/login"):
        page.goto(f"{shop_site}{path}")
        errors = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
        found[path] = [error["errorId"] for error in errors]

    lasting.close()
    assert found == {"/book/acme": [], "/login": ["no-manifest"]}


def test_the_language_is_switched_without_scripts_and_what_was_typed_stays(
    browser: Browser, shop_site: str, shop: Shop
) -> None:
    context = browser.new_context(viewport={"width": NARROW, "height": 740}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{shop_site}/book/acme")
    fill(page)

    page.locator("header summary").click()
    page.get_by_role("button", name="فارسی").click()

    assert page.locator("html").get_attribute("dir") == "rtl"
    assert page.locator("#name").input_value() == "Casey Jones"
    page.locator("#email").press("Enter")
    page.wait_for_url("**/m/fd_*?lang=fa")
    assert shop.count() == 1
    context.close()


def test_a_visit_is_booked_by_keyboard_alone_without_scripts(
    browser: Browser, shop_site: str, shop: Shop
) -> None:
    context = browser.new_context(viewport={"width": NARROW, "height": 740}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{shop_site}/book/acme")
    for _ in range(3):
        page.keyboard.press("Tab")
    for words in (None, ADDRESS, "Casey Jones", "212 555 0123"):
        if words is not None:
            page.keyboard.type(words)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/m/fd_*")
    page.locator("#slot-0").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Your visit is booked")).to_be_visible()
    context.close()
