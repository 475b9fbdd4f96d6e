"""The page of key figures, of the day that `figures_world` describes."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser
from sqlmodel import Session

from api.pages.figures import HEIGHT, Chart, charts
from dispatch.keys import issue_key
from dispatch.kpis import By, figures
from dispatch.organization import Organization
from dispatch.settings import Settings
from dispatch.territory import Territory
from tests.dispatch.figures_world import MONDAY, TUESDAY, build_books
from tests.dispatch.world import NOW, World, clock_time
from tests.pages.conftest import serving
from tests.pages.test_browser import NARROW, RULES, WIDE, Scheme, opened
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

PATH = "/board/kpis?from=2026-11-18&to=2026-11-24"


@dataclass
class Day:
    """Acme's, in the evening."""

    world: World
    key: str
    organization: Organization
    territory: Territory


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A page looks alike on every database: once is enough."""
    return sqlite_url


@pytest.fixture
def day(session: Session, settings: Settings, clock: FakeClock) -> Day:
    world = World(session, settings)
    world.territory.name = "<b>Line</b>"
    build_books(world, world.organization)
    _, key = issue_key(session, "dispatcher", organization_id=world.organization.id, now=NOW)
    session.commit()
    clock.move_to(clock_time(22))
    return Day(world, key, world.organization, world.territory)


@pytest.fixture
def site(app: Flask, day: Day) -> Iterator[str]:
    with serving(app) as address:
        yield address


def signed_in(client: ApiClient, day: Day) -> ApiClient:
    client.post("/login", data={"key": day.key})
    return client


def drawn(day: Day, *by: By) -> dict[str, Chart]:
    found = figures(day.world.session, day.organization, MONDAY, TUESDAY, by, clock_time(22))
    return {chart.name: chart for chart in charts(found, "USD")}


def test_who_is_no_dispatcher_signs_in_first(client: ApiClient, day: Day) -> None:
    response = client.get(PATH)

    assert response.status_code == 303
    assert response.headers["Location"].startswith("/login?next=/board/kpis")


def test_the_board_leads_there(client: ApiClient, day: Day) -> None:
    assert 'href="/board/kpis"' in signed_in(client, day).get("/board").text


def test_the_page_says_each_figure_and_what_it_was_counted_from(client: ApiClient, day: Day) -> None:
    page = signed_in(client, day).get(PATH).text

    for said in ("33%", "1 of 3 visits", "9 of 10 within 1 h 40 min, 3 rounds", "+33", "nobody opened"):
        assert said in page
    assert "1 forced; +5 min, +$13" in page
    assert "/v1/kpis?from=2026-11-18&amp;to=2026-11-24&amp;by=day&amp;format=csv" in page


def test_the_table_for_spreadsheets_is_where_the_page_says(client: ApiClient, day: Day) -> None:
    response = signed_in(client, day).get("/v1/kpis?from=2026-11-18&to=2026-11-24&by=day&format=csv")

    assert response.mimetype == "text/csv"
    assert len(response.text.splitlines()) == 8


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?from=&to=&by=", 200),
        ("?by=service", 200),
        ("?by=day,service", 200),
        ("?by=nobody", 422),
        ("?from=2026-11-24&to=2026-11-23", 422),
        ("?from=2025-11-24&to=2026-11-23", 422),
        ("?from=soon", 422),
    ],
)
def test_what_nobody_can_mean_is_told(client: ApiClient, day: Day, query: str, status: int) -> None:
    assert signed_in(client, day).get(f"/board/kpis{query}").status_code == status


def test_names_show_as_text(client: ApiClient, day: Day) -> None:
    page = signed_in(client, day).get(f"{PATH}&by=territory").text

    assert "&lt;b&gt;Line&lt;/b&gt;" in page
    assert "<b>Line" not in page


def test_bars_are_drawn_to_scale_and_days_without_figures_are_left_open(day: Day) -> None:
    on_time, served, nps = (drawn(day, By.DAY)[name] for name in ("On time", "Served", "NPS"))

    monday, tuesday = on_time.bars
    assert monday.y is None
    assert tuesday.y == pytest.approx(HEIGHT * 2 / 3, abs=0.1)
    assert tuesday.height == pytest.approx(HEIGHT / 3, abs=0.1)
    assert (monday.x, tuesday.x, tuesday.width) == (6, 56, 38)
    assert (served.top, served.bars[1].height, served.bars[0].height) == ("3", HEIGHT, 1)
    assert nps.zero == HEIGHT, "nothing is below zero, so nothing is drawn there"
    assert "33%" in on_time.told


def test_below_zero_a_bar_hangs_from_the_middle(day: Day) -> None:
    nps = drawn(day, By.SERVICE)["NPS"]

    leak, wiring = nps.bars
    assert (nps.zero, nps.bottom, nps.top) == (HEIGHT / 2, "−100", "+100")
    assert (leak.y, leak.height) == (0, HEIGHT / 2)
    assert (wiring.y, wiring.height) == (HEIGHT / 2, HEIGHT / 2)


def test_by_service_there_is_no_utilisation_to_draw(day: Day) -> None:
    assert "Utilisation" in drawn(day, By.DAY)
    assert "Utilisation" not in drawn(day, By.SERVICE)


@pytest.mark.parametrize(("width", "scheme"), [(NARROW, "light"), (WIDE, "light"), (WIDE, "dark")])
def test_the_page_fits_asks_nobody_else_and_is_accessible(
    browser: Browser, site: str, day: Day, width: int, scheme: Scheme
) -> None:
    with opened(browser, site, width, scheme) as page:
        page.goto(f"{site}/login?next=/board/kpis")
        page.get_by_label("Your key").fill(day.key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/board/kpis")
        empty = "/board/kpis?from=2026-09-01&to=2026-09-02"
        for path in (PATH, f"{PATH}&by=territory", f"{PATH}&by=service", empty):
            page.goto(f"{site}{path}")
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found = Axe().run(page, options=RULES)

            assert overflow <= 0, path
            assert found.violations_count == 0, f"{path}\n{found.generate_report()}"


def test_one_chooses_days_and_what_divides_them(browser: Browser, site: str, day: Day) -> None:
    with opened(browser, site, WIDE) as page:
        page.goto(f"{site}/login?next=/board/kpis")
        page.get_by_label("Your key").fill(day.key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("From", exact=True).fill("2026-11-24")
        page.get_by_label("By", exact=True).select_option("Service")
        page.get_by_role("button", name="Show").click()

        rows = page.get_by_role("rowheader").all_text_contents()

        assert rows == ["Leak", "Wiring", "All"]
