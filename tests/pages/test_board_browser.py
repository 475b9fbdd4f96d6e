"""The dispatcher's board in a browser: visits carried by mouse and by keys, what that costs and breaks, requests by
telephone, plans tried first, and what others change meanwhile."""

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask, Response
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect
from sqlalchemy import Engine
from sqlmodel import Session, select

from api.streaming import Look, Streams
from dispatch.appointment import Appointment, Status
from dispatch.database import transaction
from dispatch.errors import Unavailable
from dispatch.gazetteer import NewPlace, add_places
from dispatch.message import Sender
from dispatch.service_request import ServiceRequest, Source
from dispatch.settings import Settings
from dispatch.technician import Technician
from tests.pages.conftest import serving
from tests.pages.field import DAY as TOMORROW
from tests.pages.field import build_field
from tests.pages.test_browser import NARROW, RULES, WIDE, opened, sign_in
from tests.pages.world import CUSTOMER, MARKUP, World
from tests.support.client import ApiClient
from tests.support.clock import FakeClock
from tests.support.plans import run_plans

BO, ANA = "Bo Chen", MARKUP
ADDRESS = "7 Elm Street, New York"
TWINS = [NewPlace("2 Twin Street", 40.742, -73.990), NewPlace("2 Twin Street", 40.746, -73.986)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A page looks alike on every database: once is enough."""
    return sqlite_url


@pytest.fixture
def board(browser: Browser, site: str, world: World) -> Iterator[Page]:
    """The board of the day, signed in; it asks nobody else for anything and complains of nothing."""
    with opened(browser, site, WIDE) as page:
        sign_in(page, site, world)
        page.get_by_text("live", exact=True).wait_for()
        yield page


def row(world: World, number: int) -> Appointment:
    with Session(world.engine) as session:
        return session.get_one(Appointment, world.visits[number])


def technician_of(world: World, number: int) -> str:
    with Session(world.engine) as session:
        no = session.get_one(Appointment, world.visits[number]).technician_no
        return session.exec(select(Technician.name).where(Technician.no == no)).one()


def other(world: World, number: int) -> str:
    return BO if technician_of(world, number) == ANA else ANA


def drawn(page: Page, world: World, number: int) -> Locator:
    return page.locator(f'.visit[data-visit="{world.visits[number]}"]')


def lane(page: Page, name: str) -> Locator:
    return page.locator(".lane").filter(has=page.locator(".name", has_text=name))


def box(located: Locator) -> FloatRect:
    found = located.bounding_box()
    assert found is not None
    return found


def x_of(page: Page, hour: float) -> float:
    """Where the drawing has this hour of the day."""
    day, scale = box(page.locator(".day").first), page.locator("#timeline")
    begins, ends = (int(scale.get_attribute(f"data-{name}") or 0) for name in ("begins", "ends"))
    midnight = 1_803_963_600
    return day["x"] + day["width"] * (midnight + hour * 3600 - begins) / (ends - begins)


def carry(page: Page, source: Locator, name: str, hour: float) -> None:
    """With the mouse down, so that the visit begins at this hour in the lane of this name."""
    bar = box(source.locator(".bar"))
    y = box(lane(page, name).locator(".day"))["y"] + 20
    page.mouse.move(bar["x"] + 4, bar["y"] + 12)
    page.mouse.down()
    page.mouse.move(bar["x"] + 20, bar["y"] + 16)
    page.mouse.move(x_of(page, hour) + 4, y, steps=5)


def question(page: Page) -> Locator:
    return page.locator("#question")


def test_a_dragged_visit_shows_its_price_before_it_is_dropped_and_moves_once_confirmed(
    board: Page, world: World
) -> None:
    to = other(world, 1)
    carry(board, drawn(board, world, 1), to, 15)

    expect(board.locator(".tip-box .sum")).to_contain_text("travel")
    expect(board.locator(".ghost-label")).to_have_text(f"15:00 · {to}")
    assert technician_of(world, 1) != to
    board.mouse.up()
    expect(question(board).get_by_role("heading")).to_contain_text("Move Leak repair")
    expect(question(board).locator(".sum")).to_contain_text("travel")
    assert technician_of(world, 1) != to

    question(board).get_by_label("Why").fill("She knows the house.")
    question(board).get_by_label("Force it").check()
    question(board).get_by_role("button", name="Move it").click()

    expect(question(board)).to_be_hidden()
    expect(lane(board, to).locator(f'.visit[data-visit="{world.visits[1]}"]')).to_be_visible()
    assert technician_of(world, 1) == to
    assert row(world, 1).pinned


def test_a_visit_that_is_dropped_outside_or_let_go_with_escape_stays(board: Page, world: World) -> None:
    before = row(world, 1).version
    carry(board, drawn(board, world, 1), other(world, 1), 15)
    board.keyboard.press("Escape")
    expect(board.locator(".ghost")).to_have_count(0)
    board.mouse.up()

    carry(board, drawn(board, world, 1), other(world, 1), 15)
    board.mouse.move(5, 5)
    board.mouse.up()

    expect(board.locator(".ghost")).to_have_count(0)
    assert not question(board).is_visible()
    assert not board.locator("#sheet").is_visible()
    assert row(world, 1).version == before


def test_what_breaks_rules_is_left_or_forced_with_a_reason(board: Page, world: World) -> None:
    name = technician_of(world, 0)
    carry(board, drawn(board, world, 0), name, 16.5)
    expect(board.locator(".tip-box .violation").first).to_be_visible()
    board.mouse.up()
    force, why = question(board).get_by_label("Force it"), question(board).get_by_label("Why")
    send = question(board).get_by_role("button", name="Move it")

    send.click()
    expect(question(board).get_by_text("Say why.")).to_be_visible()
    why.fill("The customer comes home late.")
    send.click()
    expect(question(board).get_by_role("alert")).to_contain_text("This breaks rules")
    expect(force).to_be_focused()
    unmoved = row(world, 0)
    force.check()
    send.click()

    expect(question(board)).to_be_hidden()
    moved = row(world, 0)
    assert unmoved.scheduled_start != moved.scheduled_start
    assert moved.scheduled_start is not None
    assert (moved.scheduled_start.hour, moved.scheduled_start.minute) == (21, 30)


def test_a_visit_moves_by_keys_alone_and_its_price_is_read_aloud(board: Page, world: World) -> None:
    name, to = technician_of(world, 0), other(world, 0)
    up = "ArrowDown" if name == ANA else "ArrowUp"
    start = row(world, 0).scheduled_start
    drawn(board, world, 0).focus()
    news = board.locator("#news")

    board.keyboard.press("m")
    expect(news).to_contain_text("picked up")
    board.keyboard.press(up)
    expect(news).to_contain_text(to)
    expect(news).to_contain_text("travel")
    expect(news).to_contain_text(re.compile("promise", re.IGNORECASE))
    board.keyboard.press("Shift+ArrowRight")
    board.keyboard.press("Enter")

    expect(question(board).get_by_role("heading")).to_be_focused()
    for _ in range(2):
        board.keyboard.press("Tab")
    board.keyboard.type("He is nearer.")
    expect(question(board).locator(".sum")).to_be_visible()
    question(board).get_by_label("Force it").press("Space")
    question(board).get_by_label("Why").press("Enter")
    expect(question(board)).to_be_hidden()
    expect(drawn(board, world, 0)).to_be_focused()
    assert technician_of(world, 0) == to
    assert row(world, 0).scheduled_start != start


def test_escape_puts_a_visit_that_keys_carry_back(board: Page, world: World) -> None:
    before = row(world, 0).version
    drawn(board, world, 0).focus()
    board.keyboard.press("m")
    board.keyboard.press("ArrowRight")
    board.keyboard.press("Escape")

    expect(board.locator("#news")).to_contain_text("stays where it is")
    expect(board.locator(".ghost")).to_have_count(0)
    expect(drawn(board, world, 0)).to_be_focused()
    assert row(world, 0).version == before


def test_arrows_go_from_visit_to_visit_and_one_of_them_is_in_the_order_of_tab(
    board: Page, world: World
) -> None:
    expect(board.locator('.visit[tabindex="0"]')).to_have_count(1)
    first = lane(board, technician_of(world, 0)).locator(".visit").first
    first.focus()

    board.keyboard.press("End")
    last = lane(board, technician_of(world, 0)).locator(".visit").last
    expect(last).to_be_focused()
    board.keyboard.press("Home")

    expect(first).to_be_focused()
    expect(board.locator('.visit[tabindex="0"]')).to_have_count(1)
    board.keyboard.press("Enter")
    expect(board.locator("#sheet-title")).to_be_focused()
    board.keyboard.press("Escape")
    expect(first).to_be_focused()


def test_a_candidate_is_chosen_from_the_panel(board: Page, world: World) -> None:
    to = other(world, 2)
    drawn(board, world, 2).focus()
    board.keyboard.press("Enter")
    choice = board.locator("#candidates .choice").filter(has_text=to)
    expect(choice).to_contain_text("travel")

    choice.press("Enter")

    question(board).get_by_label("Why").fill("Nearer.")
    expect(question(board).locator(".sum")).to_be_visible()
    expect(question(board).get_by_label("Force it")).to_be_hidden()
    question(board).get_by_role("button", name="Move it").click()
    expect(question(board)).to_be_hidden()
    assert technician_of(world, 2) == to


def test_an_unassigned_visit_is_dragged_from_the_list_and_says_what_forbids_it(
    board: Page, world: World
) -> None:
    item = box(board.locator(".waiting > li h3").first)
    board.mouse.move(item["x"] + 120, item["y"] + 8)
    board.mouse.down()
    board.mouse.move(item["x"] + 60, item["y"] + 30)
    board.mouse.move(x_of(board, 14) + 12, box(lane(board, BO).locator(".day"))["y"] + 20, steps=5)
    expect(board.locator(".tip-box .violation")).to_contain_text("electric")
    board.mouse.up()
    question(board).get_by_label("Why").fill("He learnt it.")
    question(board).get_by_label("Force it").check()
    question(board).get_by_role("button", name="Assign it").click()

    expect(question(board)).to_be_hidden()
    expect(lane(board, BO).get_by_role("button", name="Faulty wiring")).to_be_visible()
    expect(board.get_by_text("Every visit of the day has a technician.")).to_be_visible()


def test_a_visit_is_pinned_and_taken_from_its_technician_in_the_panel(board: Page, world: World) -> None:
    drawn(board, world, 0).focus()
    board.keyboard.press("Enter")
    board.get_by_role("button", name="Pin technician and start").click()
    board.get_by_role("button", name="Unpin").wait_for()
    assert row(world, 0).pinned_time

    board.get_by_role("button", name="Unpin").click()
    board.get_by_role("button", name="Pin to its technician").wait_for()
    board.get_by_text("Take it from its technician").click()
    board.get_by_role("button", name="Unassign").click()
    expect(board.get_by_text("Say why.")).to_be_visible()
    board.locator("#sheet").get_by_label("Why").fill("He is ill.")
    board.get_by_role("button", name="Unassign").click()

    expect(board.locator(f'.waiting > [data-visit="{world.visits[0]}"]')).to_be_visible()
    assert row(world, 0).status is Status.UNASSIGNED


def test_what_others_change_shows_without_reload_and_takes_no_focus(
    board: Page, world: World, client: ApiClient
) -> None:
    board.evaluate("window.kept = true")
    lane(board, technician_of(world, 0)).locator("summary").click()
    drawn(board, world, 0).focus()

    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)

    expect(drawn(board, world, 0).locator(".bar.en_route")).to_be_visible()
    expect(drawn(board, world, 0)).to_be_focused()
    expect(lane(board, technician_of(world, 0)).locator("details")).to_have_attribute("open", "")
    assert board.evaluate("window.kept") is True


def test_news_wait_while_a_visit_is_in_hand(board: Page, world: World) -> None:
    carry(board, drawn(board, world, 1), other(world, 1), 15)
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)
    board.wait_for_timeout(2_500)
    assert board.locator(".bar.en_route").count() == 1, "of the legend"
    assert board.locator(".ghost").is_visible()

    board.keyboard.press("Escape")
    board.mouse.up()

    expect(drawn(board, world, 0).locator(".bar.en_route")).to_be_visible()


def test_who_drops_what_somebody_changed_meanwhile_is_told_and_may_repeat_it(
    browser: Browser, site: str, world: World, client: ApiClient
) -> None:
    page = browser.new_page(viewport={"width": WIDE, "height": 900})
    sign_in(page, site, world)
    page.get_by_text("live", exact=True).wait_for()
    carry(page, drawn(page, world, 1), other(world, 1), 15)
    page.mouse.up()
    question(page).get_by_label("Why").fill("Nearer.")
    expect(question(page).locator(".sum")).to_be_visible()
    question(page).get_by_label("Force it").check()
    path = f"/v1/appointments/{world.visits[1]}"
    etag = client.call("GET", path, key=world.key).headers["ETag"]
    client.act(f"{path}/pin", {}, key=world.key, if_match=etag)

    question(page).get_by_role("button", name="Move it").click()

    expect(question(page).get_by_role("alert")).to_contain_text("Somebody changed this visit meanwhile.")
    assert technician_of(world, 1) != other(world, 1)
    to = other(world, 1)
    expect(question(page).locator(".sum")).to_be_visible()
    question(page).get_by_role("button", name="Move it").click()
    expect(question(page)).to_be_hidden()
    assert technician_of(world, 1) == to


def test_a_request_by_phone_gets_its_address_its_time_and_its_promise(
    browser: Browser, site: str, world: World, engine: Engine, clock: FakeClock
) -> None:
    with transaction(engine) as session:
        add_places(session, [NewPlace(ADDRESS, 40.745, -73.985), *TWINS], clock())
    page = browser.new_page(viewport={"width": WIDE, "height": 900})
    sign_in(page, site, world)
    page.get_by_role("button", name="New request").click()
    sheet = page.locator("#sheet")
    find = sheet.get_by_role("button", name="Find times")

    find.click()
    expect(sheet.locator("#field-name-refusal")).to_have_text("Is needed.")
    sheet.get_by_label("Service").select_option("Leak repair")
    sheet.get_by_label("Customer’s name").fill("Kim <b>Lee</b>")
    sheet.get_by_label("Phone").fill("1")
    sheet.get_by_label("Language").select_option("Deutsch")
    sheet.get_by_label("Notes").fill("Under the sink.")
    sheet.get_by_label("Priority").select_option("High")
    sheet.get_by_label("Address").fill("99 Nowhere Road")
    find.click()
    expect(sheet.locator("#field-phone-refusal")).to_be_visible()
    sheet.get_by_label("Phone").fill("+1 212 555 0199")
    find.click()
    expect(sheet.locator("#field-address-refusal")).to_be_visible()
    sheet.get_by_label("Address").fill("2 Twin Street")
    find.click()
    expect(sheet.get_by_text("Which of these?")).to_be_visible()
    find.click()

    expect(sheet.get_by_role("heading", name="Times for Kim <b>Lee</b>")).to_be_visible()
    expect(sheet.locator(".slots legend").first).to_contain_text("Tuesday 2 March")
    expect(sheet.locator(".slot").first).to_contain_text("travel")
    sheet.get_by_role("button", name="Promise this time").click()
    expect(sheet).to_be_hidden()
    expect(page.locator("#news")).to_contain_text("Promised to Kim <b>Lee</b>")
    expect(page.locator(".visit", has_text="Kim <b>Lee</b>")).to_be_attached()
    with Session(engine) as session:
        made = session.exec(select(ServiceRequest).where(ServiceRequest.source == Source.PHONE)).all()
        (visit,) = session.exec(select(Appointment).where(Appointment.service_request_id == made[0].id)).all()
    assert [each.notes for each in made] == ["Under the sink."]
    assert visit.window_start is not None


def test_a_plan_is_tried_and_as_much_of_it_applied_as_is_ticked(
    board: Page, world: World, client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock
) -> None:
    path = f"/v1/appointments/{world.visits[0]}"
    etag = client.call("GET", path, key=world.key).headers["ETag"]
    client.act(f"{path}/unassign", {"reason": "A try."}, key=world.key, if_match=etag)
    expect(board.locator(f'.waiting > [data-visit="{world.visits[0]}"]')).to_be_visible()
    board.get_by_role("button", name="Plan this day").click()
    board.get_by_role("button", name="Work it out").click()
    board.get_by_role("progressbar").wait_for()

    run_plans(engine, settings, clock)

    form = board.locator("#sheet form")
    expect(form).to_contain_text("one visit")
    assert row(world, 0).status is Status.UNASSIGNED
    for each in form.locator("input[name=visit]").all():
        each.set_checked(each.get_attribute("value") == world.visits[0])
    form.get_by_role("button", name="Apply what is ticked").click()
    expect(drawn(board, world, 0)).to_be_visible()
    assert row(world, 0).status is Status.SCHEDULED


def test_closing_a_plan_that_runs_cancels_it(board: Page, world: World, client: ApiClient) -> None:
    board.get_by_role("button", name="Plan this day").click()
    with board.expect_response(re.compile("/v1/plans$")) as answered:
        board.get_by_role("button", name="Work it out").click()
    board.get_by_role("progressbar").wait_for()

    with board.expect_response(lambda answer: answer.request.method == "DELETE"):
        board.get_by_role("button", name="Cancel").click()

    run = client.read(f"/v1/plans/{answered.value.json()['id']}", key=world.key)
    assert run["status"] == "cancelled"


def test_stored_markup_shows_as_text_in_panels_and_prices(board: Page, world: World) -> None:
    drawn(board, world, 0).focus()
    board.keyboard.press("Enter")

    expect(board.locator("#sheet-title")).to_have_text(f"Leak repair, {CUSTOMER}")
    expect(board.locator("#sheet").get_by_text("1 <i>Main</i> St")).to_be_visible()
    expect(board.locator("#sheet select[name=technician] option").filter(has_text=MARKUP)).to_have_count(1)
    assert board.title() != "taken"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_opens_on_the_board_is_accessible(
    browser: Browser, site: str, world: World, scheme: str
) -> None:
    def violations(page: Page) -> str:
        page.wait_for_timeout(200)
        found = Axe().run(page, options=RULES)
        return found.generate_report() if found.violations_count else ""

    opens: dict[str, Callable[[Page], None]] = {
        "panel": lambda page: drawn(page, world, 0).press("Enter"),
        "request": lambda page: page.get_by_role("button", name="New request").click(),
        "plan": lambda page: page.get_by_role("button", name="Plan this day").click(),
    }
    for width in (NARROW, WIDE):
        with opened(browser, site, width, "dark" if scheme == "dark" else "light") as page:
            sign_in(page, site, world)
            page.get_by_text("live", exact=True).wait_for()
            for name, open_it in opens.items():
                if name == "panel" and width == NARROW:
                    page.locator("summary .name").first.click()
                    page.locator(".stops button.opens").first.click()
                else:
                    open_it(page)
                page.locator("#sheet-title").wait_for()
                if name == "panel":
                    page.locator("#candidates .choice").first.wait_for()
                assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
                assert violations(page) == "", (width, name)
                if name == "panel":
                    page.get_by_role("button", name="See the price").click()
                    question(page).locator(".price, .violation").first.wait_for()
                    assert violations(page) == "", (width, "question")
                    question(page).get_by_role("button", name="Leave it").click()
                page.get_by_role("button", name="Close").click()


def test_without_javascript_the_board_is_read_as_lists(browser: Browser, site: str, world: World) -> None:
    page = browser.new_context(
        java_script_enabled=False, viewport={"width": NARROW, "height": 900}
    ).new_page()
    sign_in(page, site, world)

    lane(page, technician_of(world, 0)).locator(".name").click()

    expect(lane(page, technician_of(world, 0)).locator(".what").first).to_contain_text("Leak repair")
    expect(page.locator(".waiting")).to_contain_text("Faulty wiring")
    assert page.locator("figure.map").is_visible()
    assert not page.get_by_role("button", name="New request").is_visible()
    assert page.locator("button.opens").count() == 0


def test_the_map_shows_routes_and_opens_their_visits(board: Page, world: World) -> None:
    board.locator("#map .stop").first.wait_for()
    assert board.locator("#map .route").count() == len({technician_of(world, number) for number in range(3)})
    assert board.locator("#map .lost-pin").count() == 1

    board.locator("#map .stop").first.dispatch_event("click")

    expect(board.locator("#sheet-title")).to_contain_text("Leak repair")


def test_what_wants_attention_is_repaired_at_a_price_that_is_seen_first(
    board: Page, world: World, clock: FakeClock
) -> None:
    name, to = technician_of(world, 0), other(world, 0)
    world.move(0, Status.DISPATCHED)
    clock.advance(hours=2, minutes=15)
    alert = board.locator("#alerts li").filter(has_text="No-show")
    expect(alert).to_contain_text("its technician has not come nor set out")
    expect(alert).to_contain_text(name)

    alert.get_by_role("button", name="What would help").click()

    sheet = board.locator("#sheet")
    expect(sheet.locator(".sum")).to_contain_text("It touches")
    expect(sheet.get_by_text(f"now 10:11, {name}")).to_be_visible()
    assert technician_of(world, 1) == name
    sheet.get_by_role("button", name="Do it").click()
    expect(sheet).to_be_hidden()
    assert technician_of(world, 1) == to


def test_who_will_be_late_is_said_in_the_drawing_and_in_words(
    board: Page, world: World, clock: FakeClock
) -> None:
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE, Status.ON_SITE)
    clock.advance(hours=3, minutes=30)

    expect(drawn(board, world, 1).locator("text")).to_contain_text("late · Leak repair")
    expect(drawn(board, world, 1).locator("line.late")).to_be_attached()
    assert "past the promised window" in (drawn(board, world, 1).get_attribute("aria-label") or "")
    expect(board.locator("#figures")).to_contain_text("Expected late")


def test_a_dispatcher_writes_to_the_customer_from_the_panel(board: Page, world: World) -> None:
    world.write(0, Sender.CUSTOMER, "The bell is <i>broken</i>.")
    drawn(board, world, 0).focus()
    board.keyboard.press("Enter")
    expect(board.locator(".thread-lines")).to_contain_text("The bell is <i>broken</i>.")

    board.get_by_role("button", name="Send").click()
    expect(board.get_by_text("Write something.")).to_be_visible()
    board.get_by_label("Write to the customer").fill("We will knock.")
    board.get_by_role("button", name="Send").click()

    expect(board.locator(".thread-lines .own")).to_contain_text("We will knock.")


def test_where_no_stream_is_free_the_board_says_that_it_looks_now_and_then(
    browser: Browser, site: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Streams, look: Look) -> Response:
        raise Unavailable("no_stream_free")

    monkeypatch.setattr(Streams, "follow", refuse)
    page = browser.new_page(viewport={"width": WIDE, "height": 900})
    page.clock.install()
    sign_in(page, site, world)
    page.get_by_text("refreshed now and then").wait_for()
    world.move(0, Status.DISPATCHED, Status.EN_ROUTE)

    page.clock.run_for(31_000)

    expect(drawn(page, world, 0).locator(".bar.en_route")).to_be_visible()


def test_another_pay_that_is_asked_for_is_answered_on_the_board(
    browser: Browser,
    app: Flask,
    client: ApiClient,
    engine: Engine,
    settings: Settings,
    clock: FakeClock,
) -> None:
    field = build_field(client, app.test_client, engine, settings, clock)
    offer_id = field.ask()
    more = {"pay": {"amount": 20_000, "currency": "USD"}, "note": "Heavy <i>parts</i>."}
    client.act(f"/v1/offers/{offer_id}/counter", more, key=field.acme.ada_key)
    with serving(app) as address, opened(browser, address, WIDE) as page:
        page.goto(f"{address}/login?next=/board?date={TOMORROW}")
        page.get_by_label("Your key").fill(field.acme.dispatcher)
        page.get_by_role("button", name="Sign in").click()

        page.locator("#alerts li").filter(has_text="Another pay asked").locator("button.opens").click()

        sheet = page.locator("#sheet")
        expect(sheet).to_contain_text("Asks for $200 (“Heavy <i>parts</i>.”).")
        sheet.get_by_role("button", name="Pay that").click()
        expect(page.locator("#news")).to_contain_text("The pay is agreed")
        expect(sheet).to_contain_text("Ada Lovelace accepted")
        expect(page.locator("#alerts")).to_be_hidden()
    assert field.offer(offer_id)["status"] == "accepted"


def test_an_unassigned_visit_is_picked_up_by_keys_and_put_back(board: Page, world: World) -> None:
    item = board.get_by_role("button", name="Faulty wiring")
    item.focus()

    board.keyboard.press("m")

    expect(board.locator("#news")).to_contain_text("picked up")
    expect(board.locator(".ghost-label")).to_contain_text("09:00")
    board.keyboard.press("ArrowRight")
    expect(board.locator(".ghost-label")).to_contain_text("09:05")
    expect(board.locator(".tip-box .violation").first).to_be_visible()
    board.keyboard.press("Escape")
    expect(item).to_be_focused()
    expect(board.locator(".ghost")).to_have_count(0)


def test_hours_are_shown_wider_and_a_visit_is_dropped_there_all_the_same(board: Page, world: World) -> None:
    day = board.locator(".day").first
    before = box(day)["width"]
    for _ in range(2):
        board.get_by_role("button", name="Show fewer hours, wider").click()
    assert box(day)["width"] > 1.5 * before
    drawn(board, world, 0).focus()
    board.keyboard.press("Home")

    carry(board, drawn(board, world, 0), other(world, 0), 10)

    expect(board.locator(".ghost-label")).to_have_text(f"10:00 · {other(world, 0)}")
    board.keyboard.press("Escape")
    board.mouse.up()
