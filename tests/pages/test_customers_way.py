"""A customer's whole way on a phone, in a browser: booking, choosing, following, rating. With `PICTURES=docs/images` in
the environment it leaves the README's pictures there."""

import io
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from dispatch.settings import Settings
from tests.api.test_tracking import rated
from tests.pages.conftest import serving
from tests.pages.shop import Shop, build_shop
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

PHONE = {"width": 360, "height": 780}
COLOURS = 128
LARGEST_BYTES = 150_000
ON_THE_DAY = datetime.fromisoformat("2027-03-03T09:20:00-05:00")


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


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where the pictures go."""
    return Path(os.environ.get("PICTURES", tmp_path))


def keep(page: Page, folder: Path, name: str) -> None:
    """What a phone shows, as a small picture."""
    shown = Image.open(io.BytesIO(page.screenshot()))
    path = folder / f"{name}.png"
    shown.quantize(COLOURS).save(path, optimize=True)
    assert path.stat().st_size < LARGEST_BYTES


def test_a_customer_books_follows_and_rates_a_visit_on_a_phone(
    browser: Browser, shop_site: str, shop: Shop, engine: Engine, pictures: Path
) -> None:
    rated(shop.acme, engine, 5, 5, 4, 5, 5)
    page = browser.new_context(viewport=PHONE, device_scale_factor=2, locale="en-US").new_page()
    page.goto(f"{shop_site}/book/acme")
    page.get_by_label("Where should we come?").fill("9 Oak Street, Brooklyn")
    page.get_by_label("Your name").fill("Casey Jones")
    page.get_by_label("Phone").fill("(212) 555-0123")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    keep(page, pictures, "customer-1-book")
    page.get_by_role("button", name="Show the free times").click()

    page.locator("#slot-1").check()
    keep(page, pictures, "customer-2-choose")
    page.get_by_role("button", name="Book this time").click()

    expect(page.get_by_role("heading", name="Your visit is booked")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    keep(page, pictures, "customer-3-booked")
    page.get_by_role("link", name="Follow the visit").click()

    expect(page.get_by_role("button", name="I will be there")).to_be_visible()
    appointment = max(visit.id for visit in shop.appointments())
    shop.acme.accept(shop.acme.offer(appointment)["id"])
    shop.clock.move_to(ON_THE_DAY)
    shop.acme.drives(40.702, -73.975)
    shop.acme.progress(appointment, "en_route")
    page.reload()
    expect(page.get_by_role("heading", name="Ada is on the way")).to_be_visible()
    expect(page.locator(".pin.technician")).to_be_visible()
    page.wait_for_timeout(400)  # the map has come to rest
    keep(page, pictures, "customer-4-follow")

    for status in ("on_site", "completed"):
        shop.acme.progress(appointment, status)
    page.get_by_role("heading", name="How was it?").wait_for()
    page.get_by_label("Very good").check()
    page.get_by_label("What should we know?").fill("On time, and tidy.")
    page.locator("#rating").evaluate("each => scrollTo(0, each.offsetTop - 12)")
    keep(page, pictures, "customer-5-rate")
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.get_by_text("Thank you, we have your answer.")).to_be_visible()
