"""Runs the day, once through the API and once by telephone, with the same people."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Engine, inspect

from api.app import create_app
from api.auth import await_uses
from api.context import EXTENSION
from dispatch import database
from dispatch.ids import ids_from
from dispatch.settings import Settings
from dispatch.shift import local_day
from seed.calls import NEW_YORK
from seed.city import Day
from seed.errors import SimulationFailed
from seed.problem import World, seconds, world_of
from seed.simulation import sweep
from seed.simulation.api_client import ApiClient
from seed.simulation.clock import Agenda, Clock, Ids
from seed.simulation.people import Assumptions, People
from seed.simulation.record import Story
from seed.simulation.shop import open_shop
from seed.simulation.through_api import Policy, ThroughApi
from seed.simulation.through_phone import ThroughPhone

SIGNED_WITH = "the same each time, and of no use to anybody"
SET_UP_BEFORE_S = 6 * 3_600
"""The organization is set up on the evening before."""
LASTS_S = 28 * 3_600
"""From midnight: until the last window of the day has passed."""

Tell = Callable[[str, float, str], None]
"""Which of both is under way, how much of its day is over, and what its clock shows."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both days. too_late: calls that could be answered on no hour of it, and are in neither. answers: of the API, by
    method and route and status. faults: what must not be, in words. elapsed_s: by the real clock."""

    day: Day
    people: People
    too_late: int
    seed: int
    policy: Policy
    ours: Story
    by_hand: Story
    plans: int
    answers: dict[tuple[str, int], int]
    faults: tuple[str, ...]
    elapsed_s: float

    @property
    def is_sound(self) -> bool:
        return not self.faults and not any(status >= 500 for _, status in self.answers)


def run_day(
    day: Day,
    *,
    seed: int,
    policy: Policy | None = None,
    assumptions: Assumptions | None = None,
    database_url: str | None = None,
    tell: Tell = lambda who, fraction, clock: None,
) -> Outcome:
    """The day as it goes with this system and by hand. database_url: of an empty database; by default a file that is
    thrown away. Raises `SimulationFailed` where the API refuses what it should not, or the database is not empty."""
    began = time.monotonic()
    policy, world = policy or Policy(), _world(day)
    today = replace(day, calls=tuple(call for call in day.calls if _is_today(world, call.id)))
    people = People(today, world, seed, assumptions or Assumptions())
    by_hand = _by_hand(people, tell)
    with _settings(database_url, policy) as settings, ids_from(ids := Ids(_clock(day))):
        ours, api, faults = _through_api(people, settings, ids.clock, policy, tell)
    return Outcome(
        day=day,
        people=people,
        too_late=world.too_late,
        seed=seed,
        policy=policy,
        ours=ours.story,
        by_hand=by_hand.story,
        plans=ours.plans,
        answers=dict(sorted(api.answers.items())),
        faults=tuple(faults),
        elapsed_s=time.monotonic() - began,
    )


def _world(day: Day) -> World:
    """With shifts that end at home, as dispatch has them."""
    people = tuple(replace(person, open_end=False) for person in day.freelancers)
    return world_of(replace(day, freelancers=people))


def _is_today(world: World, call_id: str) -> bool:
    return any(visit.id == call_id for visit in world.problem.visits)


def _midnight(day: Day) -> int:
    return seconds(local_day(day.date, NEW_YORK)[0])


def _clock(day: Day) -> Clock:
    return Clock(_midnight(day) - SET_UP_BEFORE_S)


def _telling(tell: Tell, who: str, day: Day) -> Callable[[int], None]:
    midnight = _midnight(day)

    def at_(at: int) -> None:
        shown = datetime.fromtimestamp(at, NEW_YORK)
        tell(who, min(1.0, max(0.0, (at - midnight) / LASTS_S)), f"{shown:%H:%M}")

    return at_


def _by_hand(people: People, tell: Tell) -> ThroughPhone:
    agenda = Agenda(_clock(people.day))
    by_hand = ThroughPhone(agenda, people)
    by_hand.open()
    telling, until = _telling(tell, "By hand", people.day), _midnight(people.day) + LASTS_S
    agenda.run(until, telling)
    telling(until)
    return by_hand


def _through_api(
    people: People, settings: Settings, clock: Clock, policy: Policy, tell: Tell
) -> tuple[ThroughApi, ApiClient, list[str]]:
    app = create_app(settings, clock=clock)
    engine: Engine = app.extensions[EXTENSION].engine
    try:
        api = ApiClient(app)
        shop = open_shop(engine, api, clock, people.day, offer_before_s=policy.offer_before_s)
        agenda = Agenda(clock)
        clock.move_to(_midnight(people.day))
        ours = ThroughApi(agenda, people, api, engine, settings, shop, policy)
        until = clock.at + LASTS_S
        ours.open(until, seconds(local_day(people.day.date, NEW_YORK)[1]))
        faults: list[str] = []
        for at in range(clock.at, until, 3_600):
            agenda.at(at, lambda: faults.extend(_look_through(engine)))
        agenda.run(until, _telling(tell, "Through the API", people.day))
        ours.count_answers()
        faults += _look_through(engine, _in_time(ours))
        return ours, api, faults
    finally:
        await_uses()
        engine.dispose()


def _look_through(engine: Engine, served_in_time: dict[str, bool] | None = None) -> list[str]:
    """In the midst of the day promises may still be open."""
    with engine.connect() as connection:
        blocks, ledger = sweep.read(connection)
    found = list(sweep.overlaps(blocks))
    if served_in_time is not None:
        found += sweep.unsettled(ledger, served_in_time)
    return found


def _in_time(ours: ThroughApi) -> dict[str, bool]:
    """Of all that was promised."""
    return {
        ours.appointments[call_id]: record.late_s == 0
        for call_id, record in ours.story.records.items()
        if record.window is not None
    }


@contextmanager
def _settings(url: str | None, policy: Policy) -> Iterator[Settings]:
    """On the database, brought up to date, with a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="dispatch-simulation-") as folder:
        try:
            settings = Settings(
                database_url=url or f"sqlite:///{folder}/dispatch.sqlite3",
                data_dir=Path(folder),
                secret=SIGNED_WITH,
                rate_limits=False,
                log_level="error",
                offer_deadline_s=policy.offer_deadline_s,
            )
        except ValidationError as error:
            raise SimulationFailed(f"the database: {error.errors()[0]['msg']}") from error
        _require_empty(settings.database_url)
        database.upgrade(settings.database_url)
        yield settings


def _require_empty(url: str) -> None:
    engine = database.open_engine(url)
    try:
        with database.available():
            if inspect(engine).get_table_names():
                raise SimulationFailed("the database is not empty; a simulation begins in one that is")
    finally:
        engine.dispose()
