"""Days on which clocks change, over HTTP: what is worked, offered, promised, shown and charged then.

All instants were worked out by hand from the offsets:

    New York    EST -5, EDT -4      14 March: 02:00 becomes 03:00     7 November: 02:00 becomes 01:00
    Paris       CET +1, CEST +2     28 March: 02:00 becomes 03:00     31 October: 03:00 becomes 02:00
    Lord Howe   +10:30, summer +11  4 April: 02:00 becomes 01:30      3 October: 02:00 becomes 02:30
    Santiago    -4, summer -3       4 April: 00:00 becomes 23:00      5 September: 00:00 becomes 01:00
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.acme import ADA, SERVICE, TERRITORY, Acme

EVERY_DAY = range(1, 8)


@dataclass(frozen=True, slots=True)
class Town:
    """A place with a technician who lives there; a customer is six minutes away, the next one two more."""

    acme: Acme
    technician: str
    key: str
    territory_id: str
    lat: float
    lon: float

    def works(self, from_: str, to: str, exceptions: Any = ()) -> None:
        """The same hours every day of the week."""
        weekly = [{"weekday": day, "from": from_, "to": to} for day in EVERY_DAY]
        path = f"/v1/technicians/{self.technician}/availability"
        said = {"weekly": weekly, "exceptions": list(exceptions)}
        assert self.acme.client.call("PUT", path, said, key=self.key).status_code == 200

    def shifts(self, first: str, last: str) -> list[str]:
        query = {"from": first, "to": last}
        found = self.acme.client.read(f"/v1/technicians/{self.technician}/shifts", key=self.key, **query)
        return [f"{shift['starts_at']}/{shift['ends_at']}" for shift in found["items"]]

    def asks(self, north: float = 0.011, **members: Any) -> Any:
        place = {"lat": self.lat + north, "lon": self.lon, "address": "7 Elm Street"}
        return self.acme.request("Casey", place, **members)

    def offered(self, asked: Any, first: str, last: str) -> list[str]:
        """The starts of the windows that are offered; each lasts two hours of the sun."""
        found = self.acme.slots(asked, **{"from": first, "to": last}, limit=200)["items"]
        for slot in found:
            begins, ends = (datetime.fromisoformat(slot["arrival_window"][name]) for name in ("start", "end"))
            assert ends - begins == timedelta(hours=2)
        return sorted(slot["arrival_window"]["start"] for slot in found)

    def book(self, asked: Any, day: str, start: str) -> Any:
        found = self.acme.slots(asked, **{"from": day, "to": day})["items"]
        return self.acme.book(asked, next(s for s in found if s["arrival_window"]["start"] == start))


SPOTS = {
    "America/New_York": (40.70, -73.99),
    "Europe/Paris": (48.8566, 2.3522),
    "Australia/Lord_Howe": (-31.5553, 159.0821),
    "America/Santiago": (-33.4489, -70.6693),
}
NEW_YORK, PARIS, LORD_HOWE, SANTIAGO = SPOTS


def settle(acme: Acme, zone: str) -> Town:
    lat, lon = SPOTS[zone]
    if zone == NEW_YORK:
        return Town(acme, acme.ada["id"], acme.ada_key, acme.territory["id"], lat, lon)
    there = {"lat": lat, "lon": lon, "address": "1 Home Street"}
    territory = TERRITORY | {"name": zone, "time_zone": zone, "center": {"lat": lat, "lon": lon}}
    person = ADA | {"name": f"Ada of {zone}", "email": "other@example.com", "home": there, "time_zone": zone}
    territory_id = acme.client.create("/v1/territories", territory, key=acme.dispatcher)["id"]
    joined = acme.client.create("/v1/technicians", person)
    technician = joined["technician"]["id"]
    acme.client.act(f"/v1/technicians/{technician}/approve", key=acme.dispatcher)
    return Town(acme, technician, joined["api_key"], territory_id, lat, lon)


# Hours


@pytest.mark.parametrize(
    ("zone", "first", "last", "nights"),
    [
        # 22:00 EST is 03:00Z, 22:00 EDT 02:00Z; 06:00 EST is 11:00Z, 06:00 EDT 10:00Z: 8, 7 and 8 hours.
        (
            NEW_YORK,
            "2027-03-12",
            "2027-03-14",
            ["03-13T03:00/03-13T11:00", "03-14T03:00/03-14T10:00", "03-15T02:00/03-15T10:00"],
        ),
        # 8, 9 and 8 hours.
        (
            NEW_YORK,
            "2027-11-05",
            "2027-11-07",
            ["11-06T02:00/11-06T10:00", "11-07T02:00/11-07T11:00", "11-08T03:00/11-08T11:00"],
        ),
        # 22:00 CET is 21:00Z, 22:00 CEST 20:00Z; 06:00 CET is 05:00Z, 06:00 CEST 04:00Z.
        (
            PARIS,
            "2027-03-26",
            "2027-03-28",
            ["03-26T21:00/03-27T05:00", "03-27T21:00/03-28T04:00", "03-28T20:00/03-29T04:00"],
        ),
        (
            PARIS,
            "2027-10-29",
            "2027-10-31",
            ["10-29T20:00/10-30T04:00", "10-30T20:00/10-31T05:00", "10-31T21:00/11-01T05:00"],
        ),
        # 22:00 at +11 is 11:00Z, at +10:30 11:30Z; 06:00 at +11 is 19:00Z, at +10:30 19:30Z: 8.5 and 7.5 hours.
        (
            LORD_HOWE,
            "2027-04-02",
            "2027-04-04",
            ["04-02T11:00/04-02T19:00", "04-03T11:00/04-03T19:30", "04-04T11:30/04-04T19:30"],
        ),
        (
            LORD_HOWE,
            "2027-10-01",
            "2027-10-03",
            ["10-01T11:30/10-01T19:30", "10-02T11:30/10-02T19:00", "10-03T11:00/10-03T19:00"],
        ),
        # 22:00 at -4 is 02:00Z, at -3 01:00Z; 06:00 at -4 is 10:00Z, at -3 09:00Z.
        (
            SANTIAGO,
            "2027-09-03",
            "2027-09-05",
            ["09-04T02:00/09-04T10:00", "09-05T02:00/09-05T09:00", "09-06T01:00/09-06T09:00"],
        ),
        (
            SANTIAGO,
            "2027-04-02",
            "2027-04-04",
            ["04-03T01:00/04-03T09:00", "04-04T01:00/04-04T10:00", "04-05T02:00/04-05T10:00"],
        ),
    ],
)
def test_nights_of_every_week_keep_their_walls(
    acme: Acme, zone: str, first: str, last: str, nights: list[str]
) -> None:
    town = settle(acme, zone)

    town.works("22:00", "06:00")

    assert town.shifts(first, last) == [whole(night) for night in nights]
    assert town.shifts(last, last) == [whole(nights[-1])]


def test_hours_of_one_date_span_the_hour_that_comes_twice(acme: Acme) -> None:
    # 31 October: 01:00 CEST is 23:00Z of the day before, 03:00 CET is 02:00Z.
    town = settle(acme, PARIS)

    town.works("22:00", "06:00", [{"date": "2027-10-31", "hours": [{"from": "01:00", "to": "03:00"}]}])

    # The night before ends where the date's own hours begin.
    assert town.shifts("2027-10-30", "2027-11-01") == [
        "2027-10-30T20:00:00Z/2027-10-30T23:00:00Z",
        "2027-10-30T23:00:00Z/2027-10-31T02:00:00Z",
        "2027-11-01T21:00:00Z/2027-11-02T05:00:00Z",
    ]


def whole(short: str) -> str:
    return "/".join(f"2027-{instant}:00Z" for instant in short.split("/"))


# Windows


# Of nights from 22:00 to 06:00, with six minutes of travel each way and an hour of work, windows of two hours can be
# kept that begin at 21, 22, 23 and from 0 to 4 o'clock.
@pytest.mark.parametrize(
    ("zone", "day", "starts"),
    [
        # 0 and 1 EST, there is no 2, 3 and 4 EDT; 21, 22 and 23 EDT.
        (
            NEW_YORK,
            "2027-03-14",
            "03-14T05 03-14T06 03-14T07 03-14T08 03-15T01 03-15T02 03-15T03",
        ),
        # 0 EDT, 1 EDT (the first of two), 2, 3 and 4 EST; 21, 22 and 23 EST.
        (
            NEW_YORK,
            "2027-11-07",
            "11-07T04 11-07T05 11-07T07 11-07T08 11-07T09 11-08T02 11-08T03 11-08T04",
        ),
        # 0 and 1 CET, there is no 2, 3 and 4 CEST.
        (PARIS, "2027-03-28", "03-27T23 03-28T00 03-28T01 03-28T02 03-28T19 03-28T20 03-28T21"),
        # 0, 1 and the first 2 CEST, 3 and 4 CET.
        (PARIS, "2027-10-31", "10-30T22 10-30T23 10-31T00 10-31T02 10-31T03 10-31T20 10-31T21 10-31T22"),
        # 0 and 1 at +11; 2, 3 and 4 at +10:30.
        (
            LORD_HOWE,
            "2027-04-04",
            "04-03T13 04-03T14 04-03T15:30 04-03T16:30 04-03T17:30 04-04T10:30 04-04T11:30 04-04T12:30",
        ),
        # 0 and 1 at +10:30; at 2 it is half past 2, which is on no grid of hours; 3 and 4 at +11.
        (
            LORD_HOWE,
            "2027-10-03",
            "10-02T13:30 10-02T14:30 10-02T16 10-02T17 10-03T10 10-03T11 10-03T12",
        ),
        # There is no 0; 1, 2, 3 and 4 at -3.
        (SANTIAGO, "2027-09-05", "09-05T04 09-05T05 09-05T06 09-05T07 09-06T00 09-06T01 09-06T02"),
        # 0 to 4 at -3; 21, 22 and the first 23 at -3.
        (
            SANTIAGO,
            "2027-04-03",
            "04-03T03 04-03T04 04-03T05 04-03T06 04-03T07 04-04T00 04-04T01 04-04T02",
        ),
    ],
)
def test_windows_begin_on_the_hours_of_the_wall(acme: Acme, zone: str, day: str, starts: str) -> None:
    town = settle(acme, zone)
    town.works("22:00", "06:00")

    offered = town.offered(town.asks(), day, day)

    assert offered == [
        f"2027-{start}:00Z" if ":" in start else f"2027-{start}:00:00Z" for start in starts.split()
    ]


@pytest.mark.parametrize(
    ("zone", "before", "day", "after"),
    [
        (NEW_YORK, "2027-03-13", "2027-03-14", "2027-03-15"),
        (NEW_YORK, "2027-11-06", "2027-11-07", "2027-11-08"),
        (LORD_HOWE, "2027-10-02", "2027-10-03", "2027-10-04"),
        (SANTIAGO, "2027-09-04", "2027-09-05", "2027-09-06"),
    ],
)
def test_a_search_over_several_days_finds_what_each_day_finds(
    acme: Acme, zone: str, before: str, day: str, after: str
) -> None:
    town = settle(acme, zone)
    town.works("00:00", "00:00")
    asked = town.asks()

    together = town.offered(asked, before, after)

    alone = [start for each in (before, day, after) for start in town.offered(asked, each, each)]
    assert together == alone
    assert len(set(together)) == len(together) > 60


def test_a_grid_of_two_hours_has_no_window_in_the_gap(acme: Acme) -> None:
    # 0 EST is 05:00Z, there is no 2, 4 EDT is 08:00Z, 22 EDT is 02:00Z of the day after.
    town = settle(acme, NEW_YORK)
    town.works("22:00", "06:00")
    coarse = SERVICE | {"name": "Coarse", "slot_step_s": 7200}
    service = acme.client.create("/v1/services", coarse, key=acme.dispatcher)

    offered = town.offered(town.asks(service_id=service["id"]), "2027-03-14", "2027-03-14")

    assert offered == ["2027-03-14T05:00:00Z", "2027-03-14T08:00:00Z", "2027-03-15T02:00:00Z"]


# Notice and fees


@pytest.mark.parametrize(
    ("latest", "day", "first"),
    [
        # Six hours after 23:00 EST it is 06:00 EDT.
        ("2027-03-14T04:00:00+00:00", "2027-03-14", "2027-03-14T10:00:00Z"),
        # Six hours after 23:00 EDT it is 04:00 EST.
        ("2027-11-07T03:00:00+00:00", "2027-11-07", "2027-11-07T09:00:00Z"),
    ],
)
def test_notice_is_time_that_passes(acme: Acme, latest: str, day: str, first: str) -> None:
    town = settle(acme, NEW_YORK)
    town.works("00:00", "12:00")
    hasty = SERVICE | {"name": "Hasty", "min_notice_s": 6 * 3600}
    service = acme.client.create("/v1/services", hasty, key=acme.dispatcher)
    asked = town.asks(service_id=service["id"])

    acme.clock.move_to(datetime.fromisoformat(latest))
    in_time = town.offered(asked, day, day)
    acme.clock.advance(seconds=1)
    too_late = town.offered(asked, day, day)

    assert in_time[0] == first
    assert too_late == in_time[1:]


@pytest.mark.parametrize(
    ("day", "start", "latest"),
    [
        # 12:00 EDT on Sunday; 24 hours before, on Saturday, it is 11:00 EST.
        ("2027-03-14", "2027-03-14T16:00:00Z", datetime(2027, 3, 13, 16, tzinfo=UTC)),
        # 12:00 EST on Sunday; 24 hours before, on Saturday, it is 13:00 EDT.
        ("2027-11-07", "2027-11-07T17:00:00Z", datetime(2027, 11, 6, 17, tzinfo=UTC)),
    ],
)
def test_cancelling_is_free_until_24_hours_that_pass(
    acme: Acme, day: str, start: str, latest: datetime
) -> None:
    town = settle(acme, NEW_YORK)
    town.works("08:00", "16:00")
    asked = town.asks()
    path = f"/v1/appointments/{town.book(asked, day, start)['appointment']['id']}/cancel"

    fees = []
    for now in (latest, latest + timedelta(seconds=1)):
        acme.clock.move_to(now)
        fees.append(acme.client.act(path, {"dry_run": True}, key=asked["manage_token"])["fee"]["amount"])

    assert fees == [0, 2500]


# Days


@pytest.mark.parametrize(
    ("zone", "day", "late", "next_day", "early"),
    [
        # 23 EST on Saturday, 0 EST on Sunday.
        (NEW_YORK, "2027-03-13", "2027-03-14T04:00:00Z", "2027-03-14", "2027-03-14T05:00:00Z"),
        # 23 and 0 EDT after a day of 23 hours, from 05:00Z to 04:00Z.
        (NEW_YORK, "2027-03-14", "2027-03-15T03:00:00Z", "2027-03-15", "2027-03-15T04:00:00Z"),
        # 23 and 0 EST after one of 25 hours, from 04:00Z to 05:00Z.
        (NEW_YORK, "2027-11-07", "2027-11-08T04:00:00Z", "2027-11-08", "2027-11-08T05:00:00Z"),
        (PARIS, "2027-03-28", "2027-03-28T21:00:00Z", "2027-03-29", "2027-03-28T22:00:00Z"),
        (PARIS, "2027-10-31", "2027-10-31T22:00:00Z", "2027-11-01", "2027-10-31T23:00:00Z"),
        # From 13:00Z to 13:30Z: 24 and a half hours; and 23 and a half.
        (LORD_HOWE, "2027-04-04", "2027-04-04T12:30:00Z", "2027-04-05", "2027-04-04T13:30:00Z"),
        (LORD_HOWE, "2027-10-03", "2027-10-03T12:00:00Z", "2027-10-04", "2027-10-03T13:00:00Z"),
        # After 23:59 at -4 comes 01:00 at -3.
        (SANTIAGO, "2027-09-04", "2027-09-05T03:00:00Z", "2027-09-05", "2027-09-05T04:00:00Z"),
        (SANTIAGO, "2027-09-05", "2027-09-06T02:00:00Z", "2027-09-06", "2027-09-06T03:00:00Z"),
    ],
)
def test_the_last_and_the_first_visit_of_two_days_are_each_days_own(
    acme: Acme, zone: str, day: str, late: str, next_day: str, early: str
) -> None:
    town = settle(acme, zone)
    town.works("22:00", "06:00")
    last = town.book(town.asks(), day, late)["appointment"]
    first = town.book(town.asks(north=0.013), next_day, early)["appointment"]
    assert last["scheduled_start"] < early <= first["scheduled_start"]

    for date, visit in ((day, last), (next_day, first)):
        shown = [
            acme.client.read(f"/v1/technicians/{town.technician}/route", key=town.key, date=date),
            row_of(town, acme.client.read("/v1/board", key=acme.dispatcher, **board_of(town, date))),
        ]
        listed = acme.client.read(
            "/v1/appointments",
            key=acme.dispatcher,
            **{"from": date, "to": date},
            territory_id=town.territory_id,
        )

        assert [[stop["appointment_id"] for stop in route["stops"]] for route in shown] == [[visit["id"]]] * 2
        assert [item["id"] for item in listed["items"]] == [visit["id"]]


def board_of(town: Town, date: str) -> dict[str, str]:
    return {"territory_id": town.territory_id, "date": date}


def row_of(town: Town, board: Any) -> Any:
    return next(row for row in board["technicians"] if row["id"] == town.technician)


@pytest.mark.parametrize(
    ("zone", "at", "today"),
    [
        (SANTIAGO, "2027-09-05T03:59:59+00:00", "2027-09-04"),
        (SANTIAGO, "2027-09-05T04:00:00+00:00", "2027-09-05"),
        (NEW_YORK, "2027-11-08T04:59:59+00:00", "2027-11-07"),
        (NEW_YORK, "2027-11-08T05:00:00+00:00", "2027-11-08"),
        (LORD_HOWE, "2027-10-03T12:59:59+00:00", "2027-10-03"),
        (LORD_HOWE, "2027-10-03T13:00:00+00:00", "2027-10-04"),
    ],
)
def test_the_board_shows_the_day_that_it_is_there(acme: Acme, zone: str, at: str, today: str) -> None:
    town = settle(acme, zone)
    acme.clock.move_to(datetime.fromisoformat(at))

    shown = acme.client.read("/v1/board", key=acme.dispatcher, territory_id=town.territory_id)

    assert shown["date"] == today


def test_a_plan_promises_windows_of_the_wall(acme: Acme) -> None:
    # Between 01:30 and 05:00 on Lord Howe's shorter night only a window from 03:00 (16:00Z) lasts two hours.
    town = settle(acme, LORD_HOWE)
    town.works("22:00", "06:00")
    asked = town.asks(earliest_start="2027-10-03T01:30:00+10:30", due="2027-10-03T05:00:00+11:00")

    acme.client.call(
        "POST",
        "/v1/plans",
        {"territory_id": town.territory_id, "date": "2027-10-03", "max_work": 100},
        key=acme.dispatcher,
    )
    acme.worker()

    promised = acme.client.read(f"/v1/appointments/{asked['appointment']['id']}", key=acme.dispatcher)
    assert promised["arrival_window"] == {"start": "2027-10-02T16:00:00Z", "end": "2027-10-02T18:00:00Z"}


def test_a_night_over_a_change_has_room_for_its_hours_and_no_more(acme: Acme) -> None:
    # From 22:00 EST to 06:00 EDT are seven hours: with an hour each and minutes between, six visits and not seven fit;
    # in November, with nine hours, eight.
    town = settle(acme, NEW_YORK)
    town.works("22:00", "06:00")

    assert [fill(town, "2027-03-13", "2027-03-14"), fill(town, "2027-11-06", "2027-11-07")] == [6, 8]


def fill(town: Town, evening: str, morning: str) -> int:
    """Books one visit after the other, the earliest window first, as long as the night has any."""
    night = town.shifts(evening, evening)[0].split("/")
    for count in range(12):
        asked = town.asks()
        found = town.acme.slots(asked, **{"from": evening, "to": morning})["items"]
        inside = [
            slot for slot in found if slot["arrival_window"]["start"] < night[1] and is_after(slot, night[0])
        ]
        if not inside:
            return count
        town.acme.book(asked, min(inside, key=lambda slot: slot["arrival_window"]["start"]))
    raise AssertionError("a night without end")


def is_after(slot: Any, instant: str) -> bool:
    return bool(slot["arrival_window"]["end"] > instant)
