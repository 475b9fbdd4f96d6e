"""A generated day in New York: calls for repair and the freelancers who answer them.

What is drawn follows figures of a real day (`facts/`, see `derive_facts`): which trouble, in which borough
and neighbourhood, at which hour, behind how many closed doors. Names, addresses and telephone numbers are
invented: numbers end in 555-0100 to 555-0199, which the North American Numbering Plan keeps for fiction;
e-mail goes to example.com (RFC 2606). Trades, levels, shifts and pay of the freelancers are assumptions,
stated at the constants.

One seed gives one day, whatever the date and the platform.
"""

import json
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from dispatch.service_request import Priority
from seed.calls import Call, in_new_york, times_allowed
from seed.derive_facts import METRES_PER_DEGREE
from seed.nyc311 import EAST, NORTH, SOUTH, WEST
from seed.trades import TRADES, service_for

T = TypeVar("T")

CALLS = 660
FREELANCERS = 90
SEED = 311

SECOND_TRADES: Mapping[str, tuple[str, ...]] = {
    "heating": ("plumbing", "electric"),
    "plumbing": ("heating", "sanitation"),
    "electric": ("street_equipment", "heating"),
    "carpentry": ("painting", "sanitation"),
    "painting": ("carpentry", "sanitation"),
    "tree_care": ("sanitation", "carpentry"),
    "street_equipment": ("electric", "plumbing"),
    "sanitation": ("painting", "plumbing"),
}
"""What a freelancer of a trade most often knows besides."""

MAIN_LEVELS = {1: 4, 2: 16, 3: 34, 4: 31, 5: 15}
"""Levels in the own trade, in percent; in second trades people stay one to three levels below it."""

EARLY_SHIFTS = {(7, 8): 18, (8, 8): 38, (9, 8): 22, (10, 8): 10, (9, 6): 4, (12, 8): 4, (14, 8): 4}
LATE_SHIFTS = {(8, 8): 10, (9, 8): 20, (10, 8): 25, (12, 8): 20, (14, 8): 15, (16, 6): 10}
"""(first hour of the wall clock, hours) of the shifts on offer, in percent. Trades most of whose calls lie
there in the morning work early, those whose calls come in through the day late."""

RADII_M = (20_000, 25_000, 30_000, 40_000, 50_000)
"""How far freelancers say they travel from home."""

TRAVEL_TO_A_CALL_S = 900
"""About what a call costs in travel, by which freelancers are shared out among the trades."""

LUNCH_SHARE = 0.6
OPEN_END_SHARE = 0.15
"""Shares of the freelancers who take half an hour for lunch in shifts from 7 to 10, and whose day may end
anywhere."""

CHOSEN_TIMES = {(8, 12): 30, (10, 14): 20, (12, 17): 30, (16, 20): 20}
"""(from, to) in hours of the wall clock within which customers want the work to start, in percent."""

CHOSEN_TIME_SHARE = 0.4
"""The share of the calls about a home whose customer names such a time."""

NEAREST_M, FARTHEST_M = 200, 1_200
"""Bounds of the mean and of any distance from the centre of a neighbourhood, which keep most places out of
the water."""

FIRST_NAMES = (
    "Aisha", "Alejandro", "Amara", "Andre", "Anita", "Benjamin", "Carmen", "Chen", "Daniel", "Destiny",
    "Dmitri", "Elena", "Fatima", "George", "Grace", "Hassan", "Imani", "Isabel", "Jamal", "Jin", "Joseph",
    "Kofi", "Latoya", "Leila", "Lucia", "Malik", "Maria", "Mei", "Miguel", "Nadia", "Noah", "Olga", "Omar",
    "Priya", "Rachel", "Ravi", "Rosa", "Samuel", "Sofia", "Tariq", "Teresa", "Thomas", "Uma", "Victor",
    "Wei", "Yusuf", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Ahmed", "Baptiste", "Bauer", "Brown", "Campbell", "Castillo", "Chan", "Cohen", "Cruz",
    "Diallo", "Edwards", "Fernandez", "Fischer", "Garcia", "Goldberg", "Green", "Gupta", "Haddad",
    "Hernandez", "Ivanova", "Jackson", "Kaplan", "Khan", "Kim", "Kowalski", "Lee", "Lopez", "Marino",
    "Mensah", "Murphy", "Nguyen", "O'Connor", "Okafor", "Ortiz", "Park", "Patel", "Ramirez", "Rivera",
    "Rossi", "Singh", "Smith", "Torres", "Vargas", "Walker", "Williams", "Wong", "Zhang",
)  # fmt: skip
STREETS = (
    "Ash Street", "Beacon Street", "Bridge Street", "Cedar Avenue", "Chestnut Street", "Church Avenue",
    "Clinton Place", "Elm Street", "Forest Avenue", "Garden Place", "Grove Street", "Harbor Road",
    "Hill Street", "Lake Avenue", "Laurel Street", "Linden Avenue", "Locust Street", "Madison Street",
    "Maple Avenue", "Meadow Lane", "Mill Road", "Oak Street", "Orchard Street", "Park Place", "Pine Street",
    "Poplar Avenue", "River Avenue", "School Street", "Spruce Street", "Summit Avenue", "Union Street",
    "Walnut Avenue", "Washington Street", "Willow Street",
)  # fmt: skip
AREA_CODES = {
    "Manhattan": ("212", "332"),
    "Bronx": ("347", "718", "929"),
    "Brooklyn": ("347", "718", "929"),
    "Queens": ("347", "718", "929"),
    "Staten Island": ("347", "718", "929"),
}
"""Of customers (North American Numbering Plan Administrator). Freelancers have 917 and 646, each a number of
their own."""

FREELANCER_AREA_CODES = ("917", "646")


@dataclass(frozen=True, slots=True)
class Lunch:
    """A pause of duration_s that lies between two instants in UTC."""

    earliest_start: datetime
    latest_end: datetime
    duration_s: int


@dataclass(frozen=True, slots=True)
class Freelancer:
    """Someone who offers a shift. starts_at and ends_at are aware UTC instants.

    skills: level 1 to 5 by trade. radius_m: how far from home visits may lie. open_end: the shift ends at the
    last visit instead of at home. Pay: cents by the hour of work and travel, by the visit and by the
    kilometre.
    """

    id: str
    name: str
    phone: str
    email: str
    lat: float
    lon: float
    address: str
    borough: str
    skills: Mapping[str, int]
    starts_at: datetime
    ends_at: datetime
    lunch: Lunch | None
    radius_m: int
    open_end: bool
    cents_per_h: int
    cents_per_visit: int
    cents_per_km: int


@dataclass(frozen=True, slots=True)
class Day:
    """What happens on one day in New York: calls in the order in which they came, and who is there to
    answer."""

    date: date
    calls: tuple[Call, ...]
    freelancers: tuple[Freelancer, ...]


@cache
def facts() -> dict[str, Any]:
    """The figures of 2012-11-20, see `derive_facts`."""
    figures: dict[str, Any] = json.loads(
        files("seed").joinpath("facts/nyc311_2012_11_20.json").read_text(encoding="utf-8")
    )
    return figures


def _draw(rng: random.Random, weights: Mapping[T, int]) -> T:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def _somewhere(rng: random.Random, neighbourhood: Mapping[str, Any]) -> tuple[float, float]:
    """A point about as far from the neighbourhood's centre as its calls are, and no farther than
    `FARTHEST_M`."""
    metres = min(rng.expovariate(1 / max(neighbourhood["spread_m"], NEAREST_M)), FARTHEST_M)
    bearing = rng.uniform(0, 2 * math.pi)
    lat = neighbourhood["lat"] + metres * math.cos(bearing) / METRES_PER_DEGREE
    lon = neighbourhood["lon"] + metres * math.sin(bearing) / METRES_PER_DEGREE / math.cos(math.radians(lat))
    return round(min(max(lat, SOUTH), NORTH), 6), round(min(max(lon, WEST), EAST), 6)


def _address(rng: random.Random, borough: str, zip_code: str) -> str:
    return f"{rng.randint(1, 240)} {rng.choice(STREETS)}, {borough}, NY {zip_code}"


def _person(rng: random.Random, borough: str) -> tuple[str, str]:
    """A name and a number for fiction."""
    name = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
    return name, f"+1{rng.choice(AREA_CODES[borough])}55501{rng.randint(0, 99):02d}"


def _neighbourhoods(borough: str) -> dict[str, int]:
    """Calls by ZIP code."""
    return {
        code: place["calls"]
        for code, place in facts()["neighbourhoods"].items()
        if place["borough"] == borough
    }


def _called_at(rng: random.Random, day: date, kind: Mapping[str, Any]) -> datetime:
    """Drawn from the kind's hours. Calls whose hour nobody recorded lie there when the day begins, as in the
    facts."""
    if rng.random() * kind["calls"] < kind["without_hour"]:
        return in_new_york(day, time(0))
    hour = int(_draw(rng, kind["by_hour"]))
    return in_new_york(day, time(hour, rng.randrange(60), rng.randrange(60)))


def _chosen_time(rng: random.Random, call: Call, day: date) -> Call:
    """The call with the time that its customer named, if that is still ahead."""
    first, last = _draw(rng, CHOSEN_TIMES)
    start, end = in_new_york(day, time(first)), in_new_york(day, time(last))
    if call.called_at > start:
        return call
    return replace(call, earliest_start=start, due=end)


def _make_call(rng: random.Random, day: date, number: int) -> Call:
    kinds = facts()["kinds"]
    complaint_type = _draw(rng, {name: kind["calls"] for name, kind in kinds.items()})
    kind = kinds[complaint_type]
    service = service_for(complaint_type, _draw(rng, kind["descriptors"]))
    borough = _draw(rng, kind["by_borough"])
    zip_code = _draw(rng, _neighbourhoods(borough))
    lat, lon = _somewhere(rng, facts()["neighbourhoods"][zip_code])
    called_at = _called_at(rng, day, kind)
    earliest_start, due = times_allowed(called_at, service.priority)
    name, phone = _person(rng, borough)
    call = Call(
        id=f"call-{number:04d}",
        called_at=called_at,
        earliest_start=earliest_start,
        due=due,
        service=service,
        lat=lat,
        lon=lon,
        address=_address(rng, borough, zip_code),
        zip_code=zip_code,
        borough=borough,
        customer_name=name,
        customer_phone=phone,
        closed_door=rng.random() * kind["calls"] < kind["closed_doors"],
    )
    at_home = kind["without_hour"] > 0
    if at_home and service.priority is not Priority.EMERGENCY and rng.random() < CHOSEN_TIME_SHARE:
        return _chosen_time(rng, call, day)
    return call


def generate_calls(day: date, *, count: int = CALLS, seed: int = SEED) -> tuple[Call, ...]:
    """That many calls on that day in New York, in the order in which they came."""
    rng = random.Random(f"calls {seed}")
    calls = [_make_call(rng, day, number) for number in range(1, count + 1)]
    return tuple(sorted(calls, key=lambda call: (call.called_at, call.id)))


@cache
def _work_by_trade() -> dict[str, Counter[bool]]:
    """Seconds of work and travel that the calls of the facts ask of each trade, apart those whose hour is
    recorded."""
    work = {trade: Counter[bool]() for trade in TRADES}
    for complaint_type, kind in facts()["kinds"].items():
        for descriptor, calls in kind["descriptors"].items():
            service = service_for(complaint_type, descriptor)
            seconds = calls * (service.duration_s + TRAVEL_TO_A_CALL_S)
            work[service.skill][kind["without_hour"] == 0] += seconds
    return work


def _apportion(count: int, weights: Mapping[str, float]) -> list[str]:
    """`count` names in proportion to their weights, by largest remainders."""
    shares = {name: weight * count / sum(weights.values()) for name, weight in weights.items()}
    whole = {name: math.floor(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: whole[name] - shares[name])
    for name in by_remainder[: count - sum(whole.values())]:
        whole[name] += 1
    return [name for name in weights for _ in range(whole[name])]


def _skills(rng: random.Random, trade: str) -> dict[str, int]:
    """One to three trades."""
    level = _draw(rng, MAIN_LEVELS)
    skills = {trade: level}
    for other in rng.sample(SECOND_TRADES[trade], _draw(rng, {0: 30, 1: 50, 2: 20})):
        skills[other] = max(1, level - rng.randint(1, 3))
    return skills


def _make_freelancer(rng: random.Random, day: date, number: int, trade: str, zip_code: str) -> Freelancer:
    neighbourhood = facts()["neighbourhoods"][zip_code]
    borough = neighbourhood["borough"]
    lat, lon = _somewhere(rng, neighbourhood)
    name, _ = _person(rng, borough)
    area_code = FREELANCER_AREA_CODES[number // 100]
    skills = _skills(rng, trade)
    work = _work_by_trade()[trade]
    first_hour, hours = _draw(rng, LATE_SHIFTS if work[True] > work[False] else EARLY_SHIFTS)
    starts_at = in_new_york(day, time(first_hour))
    lunch = None
    if first_hour <= 10 and hours == 8 and rng.random() < LUNCH_SHARE:
        lunch = Lunch(in_new_york(day, time(11, 30)), in_new_york(day, time(14)), 1800)
    return Freelancer(
        id=f"freelancer-{number:02d}",
        name=name,
        phone=f"+1{area_code}55501{number % 100:02d}",
        email=f"freelancer-{number:02d}@example.com",
        lat=lat,
        lon=lon,
        address=_address(rng, borough, zip_code),
        borough=borough,
        skills=skills,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=hours),
        lunch=lunch,
        radius_m=rng.choice(RADII_M),
        open_end=rng.random() < OPEN_END_SHARE,
        cents_per_h=2_800 + 600 * skills[trade] + 100 * rng.randint(-4, 4),
        cents_per_visit=500 * rng.randint(0, 2),
        cents_per_km=rng.choice((45, 60, 70)),
    )


def generate_freelancers(day: date, *, count: int = FREELANCERS, seed: int = SEED) -> tuple[Freelancer, ...]:
    """That many freelancers with a shift on that day in New York, as many in each trade as its work asks
    for and in each borough as its calls.

    A neighbourhood draws homes by the root of its calls, so that the outskirts are not empty. Raises
    `ValueError` for more than there are telephone numbers for."""
    if not 0 <= count < 100 * len(FREELANCER_AREA_CODES):
        raise ValueError(f"count must lie between 0 and {100 * len(FREELANCER_AREA_CODES) - 1}, not {count}")
    rng = random.Random(f"freelancers {seed}")
    trades = _apportion(count, {trade: work.total() for trade, work in _work_by_trade().items()})
    boroughs = _apportion(count, facts()["by_borough"])
    rng.shuffle(boroughs)
    freelancers = []
    for number, (trade, borough) in enumerate(zip(trades, boroughs, strict=True), start=1):
        homes = {code: math.ceil(10 * math.sqrt(calls)) for code, calls in _neighbourhoods(borough).items()}
        freelancers.append(_make_freelancer(rng, day, number, trade, _draw(rng, homes)))
    return tuple(freelancers)


def generate_day(day: date, *, seed: int = SEED) -> Day:
    """The day of the demonstration."""
    return Day(day, generate_calls(day, seed=seed), generate_freelancers(day, seed=seed))


def small_day(day: date, calls: int, *, seed: int = SEED) -> Day:
    """That many calls, and as many freelancers for each of them as on the whole day."""
    people = max(1, round(calls * FREELANCERS / CALLS))
    return Day(
        day, generate_calls(day, count=calls, seed=seed), generate_freelancers(day, count=people, seed=seed)
    )


def with_calls(day: date, calls: Sequence[Call], *, seed: int = SEED) -> Day:
    """Calls from elsewhere on a day with the generated freelancers; in the order in which they came, those of
    one instant in the order given."""
    return Day(
        day, tuple(sorted(calls, key=lambda call: call.called_at)), generate_freelancers(day, seed=seed)
    )
