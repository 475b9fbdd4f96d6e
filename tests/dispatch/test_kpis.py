"""Key figures against those that `figures_world` lets count by hand.

Days on which clocks change, by hand from the offsets: New York's 14 March 2027 begins at 05:00 UTC and ends at 04:00
UTC of the 15th; Sydney's 4 April 2027 begins at 13:00 UTC of the 3rd and ends at 14:00 UTC of the 4th.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from dispatch import booking, override
from dispatch.appointment import Appointment, Status
from dispatch.errors import Invalid
from dispatch.kpis import By, Figures, Tally, figures, mean, middle, nine_tenths, share
from dispatch.promise import PromiseKind
from dispatch.territory import Territory, add_territory
from tests.dispatch.figures_world import MONDAY, TUESDAY, Books, build_books
from tests.dispatch.world import DISPATCHER, NOW, ZONE, World, at, clock_time

EVENING = clock_time(22)
GIVEN, KEPT, BROKEN = PromiseKind.GIVEN, PromiseKind.KEPT, PromiseKind.BROKEN


@pytest.fixture
def books(world: World) -> Books:
    return build_books(world, world.organization)


def read(world: World, *by: By, first: date = MONDAY, last: date = TUESDAY) -> Figures:
    world.session.flush()
    return figures(world.session, world.organization, first, last, by, EVENING)


def named(found: Figures) -> dict[Any, Tally]:
    return {
        tuple(
            part
            for part in (
                group.day,
                group.territory.name if group.territory else None,
                group.service.name if group.service else None,
            )
            if part is not None
        ): tally
        for group, tally in found.groups
    }


def test_every_figure_is_what_one_counts_by_hand(world: World, books: Books) -> None:
    total = read(world).total

    assert total == Tally(
        served=3,
        unassigned=1,
        late_told=1,
        begun=3,
        begun_on_time=1,
        first_completions=3,
        fixed=2,
        not_completed=total.not_completed,
        fill_s=total.fill_s,
        offers_sent=7,
        offers_answered=5,
        offers_accepted=3,
        shifts=1,
        shift_s=8 * 3600,
        work_s=3600 + 3000 + 3600 + 1200,
        shift_travel_s=3000,
        travelled=4,
        travel_s=3000,
        travel_m=10_000,
        csat=total.csat,
        ces=total.ces,
        nps=total.nps,
        overrides=3,
        overrides_forced=1,
        overrides_priced=2,
        extra_travel_s=300,
        extra_cost_cents=1300,
        promises=total.promises,
    )
    assert total.not_completed == {"nobody opened": 1}
    assert (sorted(total.fill_s), sorted(total.csat), sorted(total.ces), sorted(total.nps)) == (
        [600, 1200, 6000],
        [2, 4, 5],
        [3, 7],
        [2, 9, 10],
    )
    assert total.promises == {GIVEN: 4, KEPT: 2, BROKEN: 2}


def test_shares_means_and_percentiles_are_the_standard_ones(world: World, books: Books) -> None:
    total = read(world).total

    assert (share(total.satisfied, len(total.csat)), mean(total.csat)) == (0.6667, 3.67)
    assert total.nps_score == 33.3
    assert (middle(total.fill_s), nine_tenths(total.fill_s)) == (1200, 6000)
    assert nine_tenths(list(range(1, 11))) == 9
    assert middle([1, 2, 3, 5]) == 2
    assert share(total.work_s, total.shift_s) == 0.3958


def test_of_nothing_there_is_no_share_and_no_mean() -> None:
    nothing = Tally()

    assert share(0, 0) is mean([]) is middle([]) is nine_tenths([]) is nothing.nps_score is None


def test_another_organizations_day_changes_nothing(world: World, books: Books) -> None:
    before = read(world, By.DAY, By.SERVICE)
    rival = world.new_organization("rival")
    world.new_territory(rival)
    build_books(world, rival)

    after = read(world, By.DAY, By.SERVICE)

    assert (after.total, after.groups) == (before.total, before.groups)


def test_by_day_every_day_has_its_line(world: World, books: Books) -> None:
    found = named(read(world, By.DAY, last=date(2026, 11, 25)))

    assert list(found) == [(MONDAY,), (TUESDAY,), (date(2026, 11, 25),)]
    assert (found[MONDAY,].offers_sent, found[MONDAY,].served) == (7, 0)
    assert (found[TUESDAY,].offers_sent, found[TUESDAY,].served) == (0, 3)
    assert found[date(2026, 11, 25),] == Tally()


def test_by_service_each_has_its_own_and_hours_are_nobodys(world: World, books: Books) -> None:
    found = read(world, By.SERVICE)

    by_name = named(found)
    assert {name: tally.served for (name,), tally in by_name.items()} == {"Leak": 2, "Wiring": 1}
    assert by_name["Wiring",].not_completed.total() == 1
    assert [tally.shift_s for tally in by_name.values()] == [0, 0]
    assert found.total == read(world).total


def test_by_several_only_what_was_counted_has_a_line(world: World, books: Books) -> None:
    found = named(read(world, By.DAY, By.SERVICE))

    assert set(found) == {(day, name) for day in (MONDAY, TUESDAY) for name in ("Leak", "Wiring")}
    assert found[TUESDAY, "Leak"].served == 2


def test_a_visit_that_somebody_had_to_come_for_again_was_not_fixed_at_first(
    world: World, books: Books
) -> None:
    visit = books.visits["A"]
    session, settings = world.session, world.settings
    override.reopen(session, settings, visit, DISPATCHER, clock_time(17), "leaks again")
    books.done(visit, clock_time(18), clock_time(19))

    total = read(world).total

    assert (total.fixed, total.first_completions, total.served) == (1, 3, 3)


def test_who_was_cancelled_by_mistake_may_still_be_served_at_first(world: World, books: Books) -> None:
    visit = books.visit("F", books.leak)
    booking.cancel(world.session, world.settings, visit, DISPATCHER, clock_time(8))
    override.reopen(world.session, world.settings, visit, DISPATCHER, clock_time(9), "a mistake")
    books.done(visit, clock_time(18), clock_time(19))

    total = read(world).total

    assert (total.fixed, total.first_completions) == (3, 4)


def test_a_follow_up_is_no_first_visit_and_a_cancelled_one_takes_nothing_away(
    world: World, books: Books
) -> None:
    following = world.session.get(Appointment, books.visits["B"].id)
    assert following is not None
    from dispatch.follow_up import FollowUp, follow_up

    _, second, new = follow_up(world.session, following, FollowUp("again"), DISPATCHER, clock_time(15))
    books.done(second, clock_time(16), clock_time(17))
    served = read(world).total
    override.reopen(world.session, world.settings, second, DISPATCHER, clock_time(18), "no")
    booking.cancel(world.session, world.settings, second, DISPATCHER, clock_time(19))

    assert not new
    assert (served.served, served.fixed, served.first_completions) == (4, 2, 3)
    assert read(world).total.fixed == 3


def test_what_is_still_to_come_of_a_shift_does_not_count(world: World, books: Books) -> None:
    found = figures(world.session, world.organization, MONDAY, TUESDAY, (), clock_time(10))

    assert found.total.shift_s == 2 * 3600


def test_hours_of_technicians_who_do_not_work_here_count_nowhere(world: World, books: Books) -> None:
    rival = world.new_organization("rival")
    world.technician("Bo", organization=rival)

    assert read(world).total.shifts == 1


def test_a_shift_is_of_the_territory_in_which_it_starts(world: World, books: Books) -> None:
    world.technician("Far Away", home_km=300)

    found = read(world, By.TERRITORY)

    assert [tally.shifts for _, tally in found.groups] == [1]
    assert found.total.shifts == 2


@pytest.mark.parametrize(
    ("zone", "place", "day", "inside", "outside"),
    [
        (
            ZONE.key,
            at(1),
            date(2027, 3, 14),
            ("2027-03-14T05:00:00Z", "2027-03-15T03:59:59Z"),
            ("2027-03-14T04:59:59Z", "2027-03-15T04:00:00Z"),
        ),
        (
            "Australia/Sydney",
            replace(at(1), lat=-33.9, lon=151.2),
            date(2027, 4, 4),
            ("2027-04-03T13:00:00Z", "2027-04-04T13:59:59Z"),
            ("2027-04-03T12:59:59Z", "2027-04-04T14:00:00Z"),
        ),
    ],
)
def test_a_day_is_as_long_as_its_territory_has_it(
    world: World, zone: str, place: Any, day: date, inside: tuple[str, str], outside: tuple[str, str]
) -> None:
    territory = world.territory
    if zone != ZONE.key:
        territory = Territory(
            organization_id=world.organization.id,
            name="South",
            time_zone=zone,
            center_lat=place.lat,
            center_lon=place.lon,
            radius_m=10_000,
            created_at=NOW,
        )
        add_territory(world.session, territory)
    for ended in (*inside, *outside):
        visit = world.job(world.service()).appointment
        visit.territory_id, visit.status = territory.id, Status.COMPLETED
        visit.actual_end = datetime.fromisoformat(ended)
        world.session.add(visit)

    around = [read(world, By.DAY, first=day - timedelta(days=1), last=day + timedelta(days=1))]
    alone = read(world, first=day, last=day)

    assert [tally.served for found in around for _, tally in found.groups] == [1, 2, 1]
    assert alone.total.served == 2


def test_a_quarter_of_a_year_is_the_most(world: World) -> None:
    read(world, first=date(2026, 9, 1), last=date(2026, 12, 1))

    with pytest.raises(Invalid):
        read(world, first=date(2026, 9, 1), last=date(2026, 12, 2))


def test_rare_reasons_are_counted_together(world: World) -> None:
    tally = Tally()
    tally.not_completed.update({f"reason {number:02}": 1 for number in range(12)} | {"a dog": 3})

    assert tally.reasons() == [("a dog", 3), *((f"reason {n:02}", 1) for n in range(9)), (None, 3)]
