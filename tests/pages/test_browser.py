"""The pages in a browser: narrow and wide, by keyboard, by a checker of accessibility, on their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Response
from playwright.sync_api import Browser, Page, Request, Route

from api.pages.site import STATIC
from api.streaming import Look, Streams
from dispatch.appointment import Appointment, Status
from dispatch.database import transaction
from dispatch.errors import Unavailable
from dispatch.links import revoke_tracking
from dispatch.message import Sender
from dispatch.places import Place
from dispatch.settings import Settings
from tests.pages.test_answering import link
from tests.pages.world import CUSTOMER, DAY, MARKUP, World
from tests.support.client import ApiClient

NARROW, WIDE = 360, 1600
Scheme = Literal["light", "dark"]
SHAPE = "drawn => { const box = drawn.getBBox(); return { left: box.x, right: box.x + box.width } }"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A page looks alike on every database: once is enough."""
    return sqlite_url


@contextmanager
def opened(browser: Browser, site: str, width: int, scheme: Scheme = "light") -> Iterator[Page]:
    """A page that must ask nobody else for anything and complain of nothing."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(site) else None)
    yield page
    assert complaints == []
    context.close()


def sign_in(page: Page, site: str, world: World) -> None:
    page.goto(f"{site}/login")
    page.get_by_label("Your key").fill(world.key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/board")


def paths(world: World) -> list[str]:
    board = f"/board?territory_id={world.territory_id}&date={DAY}"
    visits = (f"/t/{token}" for token in world.tokens)
    answers = [link(world, action) for action in ("confirm", "move")]
    persian = [f"/t/{world.tokens[0]}?lang=fa", *(f"{answer}&lang=fa" for answer in answers)]
    return ["/", "/login", board, "/board?date=2027-07-04", *visits, *answers, *persian]


def various(world: World) -> None:
    """Visits in several states: on the way, done, booked."""
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
    world.tell_position(0, Place(40.70, -73.98))
    world.move(1, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
    world.write(0, Sender.CUSTOMER, "The bell is broken.")
    world.write(0, Sender.DISPATCHER, "We will knock.")


@pytest.mark.parametrize(("width", "scheme"), [(NARROW, "light"), (WIDE, "light"), (WIDE, "dark")])
def test_every_page_fits_asks_nobody_else_and_is_accessible(
    browser: Browser, site: str, world: World, width: int, scheme: Scheme
) -> None:
    various(world)
    with opened(browser, site, width, scheme) as page:
        sign_in(page, site, world)
        for path in paths(world):
            page.goto(f"{site}{path}")
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found = Axe().run(page, options=RULES)

            assert overflow <= 0, path
            assert found.violations_count == 0, f"{path}\n{found.generate_report()}"


def test_the_friendly_failures_are_accessible_too(browser: Browser, site: str, world: World) -> None:
    page = browser.new_page(viewport={"width": NARROW, "height": 900})
    outdated = f"/t/{world.tokens[2]}/confirm"
    for path in ("/t/wrong", "/nothing", outdated):
        page.goto(f"{site}{path}")

        found = Axe().run(page, options=RULES)

        assert found.violations_count == 0, f"{path}\n{found.generate_report()}"


def test_one_signs_in_by_keyboard_in_the_order_of_reading(browser: Browser, site: str, world: World) -> None:
    with opened(browser, site, WIDE) as page:
        page.goto(f"{site}/login?next=/board")
        focused = []
        for _ in range(7):
            page.keyboard.press("Tab")
            focused.append(page.evaluate("document.activeElement.innerText || document.activeElement.id"))
        assert focused == ["Skip to the content", "Dispatch", "Board", "API", "Sign in", "key", "Sign in"]

        page.keyboard.press("Shift+Tab")
        page.keyboard.type(world.key)
        page.keyboard.press("Enter")

        page.wait_for_url("**/board")


def test_stored_markup_shows_as_text(browser: Browser, site: str, world: World) -> None:
    with opened(browser, site, WIDE) as page:
        sign_in(page, site, world)

        assert page.get_by_text(MARKUP, exact=True).count() == 1
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.locator(".what").filter(has_text=CUSTOMER).first.is_visible()
        assert page.title() != "taken"


def test_a_narrow_board_lists_what_a_wide_one_draws(browser: Browser, site: str, world: World) -> None:
    for width, is_drawn in ((WIDE, True), (NARROW, False)):
        with opened(browser, site, width) as page:
            sign_in(page, site, world)
            lane = page.locator(".lane").filter(has=page.locator("g.visit")).first

            assert lane.locator("svg.day").is_visible() is is_drawn
            lane.locator(".name").click()
            assert lane.locator(".stops").get_by_text("Leak repair").last.is_visible()


def test_a_leg_of_travel_ends_where_its_visit_begins(browser: Browser, site: str, world: World) -> None:
    with opened(browser, site, WIDE) as page:
        sign_in(page, site, world)
        for visit in page.locator("g.visit").all():
            leg, bar = (visit.locator(name).evaluate(SHAPE) for name in (".leg", ".bar"))

            assert leg["right"] == pytest.approx(bar["left"], abs=0.1)
            assert 0 < leg["right"] - leg["left"] < bar["right"] - bar["left"]


def test_tracking_follows_without_being_reloaded(browser: Browser, site: str, world: World) -> None:
    with opened(browser, site, NARROW) as page:
        page.goto(f"{site}/t/{world.tokens[0]}")
        page.evaluate("window.kept = true")
        assert page.get_by_role("heading", name="Your visit is booked").is_visible()
        page.get_by_label("Write to Acme").fill("I am at")
        world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
        page.get_by_role("heading", name="is on the way").wait_for()

        world.tell_position(0, Place(40.70, -73.98))

        page.get_by_text("km away").wait_for()
        assert page.evaluate("window.kept") is True
        assert page.get_by_label("Write to Acme").input_value() == "I am at"

        world.move(0, Status.ON_SITE, Status.COMPLETED)

        page.get_by_role("heading", name="How was it?").wait_for()
        page.get_by_label("Very good").check()
        page.get_by_label("How easy was it to have this done?").select_option("6")
        page.get_by_role("button", name="Send", exact=True).click()
        page.get_by_text("Thank you, we have your answer.").wait_for()


def test_a_map_shows_the_way_while_there_is_one_and_is_loaded_only_then(
    browser: Browser, site: str, world: World
) -> None:
    with opened(browser, site, NARROW) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{site}/t/{world.tokens[0]}")
        world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
        page.get_by_role("heading", name="is on the way").wait_for()
        assert not any("leaflet" in url or "map.js" in url for url in asked)
        assert page.locator("#map").is_hidden()

        world.tell_position(0, Place(40.70, -73.98))

        page.locator(".pin.technician").wait_for()
        assert page.get_by_role("region", name="Map of the way to you").is_visible()
        assert "is 4.4 km from you, to the south." in page.locator("#way").inner_text()
        assert page.locator(".way-map").get_by_text("You", exact=True).is_visible()
        assert page.locator(".way-map").get_by_text("2 km", exact=True).count() == 2, (
            "of the ring and the scale"
        )
        assert page.locator(".ring").is_visible()
        before = page.locator(".pin.technician").bounding_box()
        world.clock.advance(minutes=1)
        world.tell_position(0, Place(40.71, -73.97))
        page.get_by_text("is 3.4 km from you").wait_for()
        assert page.locator(".pin.technician").bounding_box() != before
        assert page.locator(".pin.technician").count() == 1
        assert Axe().run(page, options=RULES).violations_count == 0

        world.move(0, Status.ON_SITE)

        page.get_by_role("heading", name="has arrived").wait_for()
        assert page.locator("#map").is_hidden()
        assert "40.7" not in page.content()


class TestWithTiles:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        tiles = {"tile_url": "https://tiles.example/{z}/{x}/{y}.png", "tile_attribution": "© <Mapmakers>"}
        return settings.model_copy(update=tiles)

    def test_a_configured_server_is_asked_for_tiles_on_the_way_and_never_told_the_link(
        self, browser: Browser, site: str, world: World
    ) -> None:
        page = browser.new_page()
        asked: list[Request] = []

        def answer(route: Route) -> None:
            asked.append(route.request)
            route.fulfill(path=STATIC / "icon-192.png")

        page.route("https://tiles.example/**", answer)
        page.goto(f"{site}/t/{world.tokens[0]}")
        assert asked == []
        assert page.get_by_text("© <Mapmakers>").is_hidden()
        various(world)

        page.locator("img.leaflet-tile-loaded").first.wait_for()

        assert page.get_by_text("© <Mapmakers>").is_visible()
        assert not any("referer" in request.all_headers() for request in asked)


def test_without_javascript_the_way_is_told_in_words(browser: Browser, site: str, world: World) -> None:
    various(world)
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/t/{world.tokens[0]}")

    assert page.get_by_text("is 4.4 km from you, to the south.").is_visible()
    assert page.locator("#map").is_hidden()


def test_a_map_that_cannot_be_loaded_leaves_the_words(browser: Browser, site: str, world: World) -> None:
    various(world)
    page = browser.new_page()
    page.route("**/leaflet.js", lambda route: route.abort())

    with page.expect_console_message(lambda said: said.type == "warning"):
        page.goto(f"{site}/t/{world.tokens[0]}")

    assert page.locator("#map").is_hidden()
    assert page.get_by_text("is 4.4 km from you").is_visible()


def test_a_page_that_nobody_looks_at_leaves_its_place_and_catches_up(
    browser: Browser, site: str, world: World
) -> None:
    def look_away(page: Page, is_hidden: bool) -> None:
        page.evaluate(
            "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
            "document.dispatchEvent(new Event('visibilitychange')) }",
            is_hidden,
        )

    with opened(browser, site, NARROW) as page:
        with page.expect_response("**/events"):
            page.goto(f"{site}/t/{world.tokens[0]}")
        look_away(page, True)
        world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
        page.wait_for_timeout(2_500)
        assert page.get_by_role("heading", name="Your visit is booked").is_visible()

        look_away(page, False)

        page.get_by_role("heading", name="is on the way").wait_for()


def test_where_no_stream_is_free_the_page_asks_now_and_then(
    browser: Browser, site: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Streams, look: Look) -> Response:
        raise Unavailable("no_stream_free")

    monkeypatch.setattr(Streams, "follow", refuse)
    page = browser.new_page(viewport={"width": NARROW, "height": 900})
    page.clock.install()
    with page.expect_response("**/events") as refused:
        page.goto(f"{site}/t/{world.tokens[0]}")
    page.evaluate("window.kept = true")
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)

    page.clock.run_for(31_000)

    assert refused.value.status == 503
    page.get_by_role("heading", name="is on the way").wait_for()
    assert page.evaluate("window.kept") is True


def test_the_language_can_be_switched_after_the_form_has_gone(
    browser: Browser, site: str, world: World, client: ApiClient
) -> None:
    with opened(browser, site, NARROW) as page:
        page.goto(f"{site}/t/{world.tokens[0]}")
        client.act(f"/v1/appointments/{world.visits[0]}/cancel", {}, key=world.key)
        page.get_by_role("heading", name="Your visit is cancelled").wait_for()

        page.locator("header summary").click()
        page.get_by_text("Deutsch").click()

        page.get_by_role("heading", name="Ihr Termin ist abgesagt").wait_for()


def test_without_javascript_one_reads_writes_and_rates(browser: Browser, site: str, world: World) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/t/{world.tokens[0]}")
    page.get_by_role("link", name="Write while it stands still").click()

    page.get_by_label("Write to Acme").fill("The bell is broken.")
    page.get_by_role("button", name="Send message").click()

    page.get_by_role("log").get_by_text("The bell is broken.").wait_for()


def test_a_revoked_link_shows_nothing_more(browser: Browser, site: str, world: World) -> None:
    page = browser.new_page(viewport={"width": NARROW, "height": 900})
    page.goto(f"{site}/t/{world.tokens[0]}")
    page.get_by_role("heading", name="Your visit is booked").wait_for()

    with transaction(world.engine) as session:
        appointment = session.get_one(Appointment, world.visits[0])
        revoke_tracking(appointment)
        session.add(appointment)

    page.get_by_role("heading", name="This link shows nothing").wait_for()
