"""Key figures as words and drawings: what a measure is called, how its value is said, and its bars to scale.

Horizontal places are percent of the drawing's width, vertical ones pixels of `HEIGHT`, so that one drawing serves every
screen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from api.pages.languages import language_of
from api.pages.words import distance, duration
from dispatch.kpis import By, Figures, Group, Tally, mean, middle, nine_tenths, share
from dispatch.promise import PromiseKind

HEIGHT = 112
GAP = 0.24
"""Of a day's width, between two bars."""
NONE = "–"
"""Where nothing was counted."""

Value = float | None


@dataclass(frozen=True, slots=True)
class Measure:
    """A key figure. read: its value, None where nothing was counted. said: the value in words. of: what it was counted
    from. means: its definition in a sentence. full: the end of its scale, None for the largest value; low: its other
    end. by_service: whether a service can have it."""

    name: str
    means: str
    read: Callable[[Tally], Value]
    said: Callable[[float], str]
    of: Callable[[Tally, str], str]
    full: float | None = None
    low: float = 0
    by_service: bool = True
    is_plotted: bool = True

    def words(self, tally: Tally, currency: str) -> tuple[str, str]:
        """The value, and what it was counted from."""
        value = self.read(tally)
        return (NONE, "") if value is None else (self.said(value), self.of(tally, currency))


def counted(count: int, noun: str) -> str:
    """1 visit, 2 visits."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _percent(value: float) -> str:
    return f"{value * 100:.0f}%"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _signed(value: float) -> str:
    return f"{value:+.0f}".replace("-", "−") if round(value) else "0"


def _time(value: float) -> str:
    return duration(round(value))


def _change(seconds: int) -> str:
    return f"{'−' if seconds < 0 else '+'}{duration(abs(seconds))}"


def _money(cents: int, currency: str) -> str:
    return ("−" if cents < 0 else "+") + language_of("en").told_money(abs(cents), currency)


def _travel(tally: Tally, _currency: str) -> str:
    if not tally.travelled:
        return "no visit"
    return f"{distance(tally.travel_m / tally.travelled)}, {counted(tally.travelled, 'visit')}"


def _filling(tally: Tally, _currency: str) -> str:
    slow = nine_tenths(tally.fill_s)
    rounds = counted(len(tally.fill_s), "round")
    return rounds if slow is None else f"9 of 10 within {duration(slow)}, {rounds}"


def _overrides(tally: Tally, currency: str) -> str:
    if not tally.overrides_priced:
        return f"{tally.overrides_forced} forced"
    price = f"{_change(tally.extra_travel_s)}, {_money(tally.extra_cost_cents, currency)}"
    return f"{tally.overrides_forced} forced; {price}"


def _kept(tally: Tally) -> Value:
    kept, broken = tally.promises[PromiseKind.KEPT], tally.promises[PromiseKind.BROKEN]
    return share(kept, kept + broken)


MEASURES = (
    Measure(
        "Served",
        "Visits completed.",
        lambda t: t.served,
        _whole,
        lambda t, _: f"{t.not_completed.total()} in vain, {t.unassigned} unassigned",
    ),
    Measure(
        "On time",
        "Of visits that ended and had a promised window: work began inside it.",
        lambda t: share(t.begun_on_time, t.begun),
        _percent,
        lambda t, _: f"{t.begun_on_time} of {counted(t.begun, 'visit')}",
        full=1,
    ),
    Measure(
        "Promises kept",
        "Of windows that were kept or broken on the ledger of promises, by the day on which they begin.",
        _kept,
        _percent,
        lambda t, _: f"{t.promises[PromiseKind.KEPT]} kept, {t.promises[PromiseKind.BROKEN]} broken",
        full=1,
    ),
    Measure(
        "First-time fix",
        "Of visits completed for the first time: nobody came in vain before, none was reopened or followed by another.",
        lambda t: share(t.fixed, t.first_completions),
        _percent,
        lambda t, _: f"{t.fixed} of {counted(t.first_completions, 'visit')}",
        full=1,
    ),
    Measure(
        "Time to fill",
        "Median from the beginning of a round of offers to its acceptance.",
        lambda t: middle(t.fill_s),
        _time,
        _filling,
    ),
    Measure(
        "Acceptance",
        "Offers accepted, of those answered.",
        lambda t: share(t.offers_accepted, t.offers_answered),
        _percent,
        lambda t, _: f"{t.offers_accepted} of {counted(t.offers_answered, 'answer')}, {t.offers_sent:,} sent",
        full=1,
    ),
    Measure(
        "Utilisation",
        "Work at customers, of the hours of shifts until now.",
        lambda t: share(t.work_s, t.shift_s),
        _percent,
        lambda t, _: (
            f"{_percent(share(t.shift_travel_s, t.shift_s) or 0)} travel, {counted(t.shifts, 'shift')}"
        ),
        full=1,
        by_service=False,
    ),
    Measure(
        "Travel per visit",
        "Mean of the planned way to each visit that ended.",
        lambda t: t.travel_s / t.travelled if t.travelled else None,
        _time,
        _travel,
    ),
    Measure(
        "Satisfied (CSAT)",
        "Of the customers who answered: 4 or 5 of 5.",
        lambda t: share(t.satisfied, len(t.csat)),
        _percent,
        lambda t, _: f"mean {mean(t.csat) or NONE} of 5, {counted(len(t.csat), 'answer')}",
        full=1,
    ),
    Measure(
        "Ease (CES)",
        "Mean of the answers, 1 to 7.",
        lambda t: mean(t.ces),
        lambda value: f"{value:.1f} of 7",
        lambda t, _: counted(len(t.ces), "answer"),
        full=7,
    ),
    Measure(
        "NPS",
        "Per cent of 9 and 10 less per cent of 0 to 6, from −100 to 100.",
        lambda t: t.nps_score,
        _signed,
        lambda t, _: counted(len(t.nps), "answer"),
        full=100,
        low=-100,
    ),
    Measure(
        "Overrides",
        "Decisions of dispatchers against the plan, and what they cost in travel and money.",
        lambda t: t.overrides,
        _whole,
        _overrides,
    ),
    Measure(
        "Told to be late",
        "Visits whose customers were told that somebody will be late.",
        lambda t: t.late_told,
        _whole,
        lambda t, _: counted(t.late_told, "visit"),
        is_plotted=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """x and width in percent, y and height in pixels; None where there is nothing to draw."""

    label: str
    words: str
    x: float
    width: float
    y: float | None
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A measure over days or beside each other. zero: where its bars stand on, in pixels. told: what the drawing shows,
    in a sentence. ends: first and last label below. top, bottom: the ends of the scale."""

    name: str
    means: str
    told: str
    bars: tuple[Bar, ...]
    zero: float
    top: str
    bottom: str
    ends: tuple[str, str]


def charts(found: Figures, currency: str) -> list[Chart]:
    """Of every measure that can be drawn and of which there is something to see."""
    by_service = By.SERVICE in found.by
    return [
        _chart(measure, found.groups, currency)
        for measure in MEASURES
        if measure.is_plotted
        and (measure.by_service or not by_service)
        and any(measure.read(tally) for _, tally in found.groups)
    ]


def _chart(measure: Measure, groups: Sequence[tuple[Group, Tally]], currency: str) -> Chart:
    values = [measure.read(tally) for _, tally in groups]
    known = [value for value in values if value is not None]
    top = max(known) if measure.full is None else max(measure.full, *known)
    low = measure.low if min(known) < 0 else 0.0
    room = 100 / len(groups)
    zero = _y(0, low, top)
    bars = [
        _bar(
            label(group),
            measure.words(tally, currency),
            measure.read(tally),
            (number * room + room * GAP / 2, room * (1 - GAP)),
            (low, top),
        )
        for number, (group, tally) in enumerate(groups)
    ]
    return Chart(
        name=measure.name,
        means=measure.means,
        told=_told(measure, groups),
        bars=tuple(bars),
        zero=zero,
        top=measure.said(top),
        bottom=measure.said(low),
        ends=(label(groups[0][0]), label(groups[-1][0])),
    )


def _y(value: float, low: float, top: float) -> float:
    return round(HEIGHT * (1 - (value - low) / (top - low)), 1)


def _bar(
    name: str, words: tuple[str, str], value: Value, place: tuple[float, float], scale: tuple[float, float]
) -> Bar:
    """place: x and width in percent; scale: its ends."""
    x, width = round(place[0], 3), round(place[1], 3)
    if value is None:
        return Bar(name, "nothing counted", x, width, None, 0)
    ends, zero = _y(value, *scale), _y(0, *scale)
    height = round(max(abs(zero - ends), 1.0), 1)
    return Bar(name, "{} ({})".format(*words), x, width, min(ends, zero), height)


def _told(measure: Measure, groups: Sequence[tuple[Group, Tally]]) -> str:
    known = [(value, label(group)) for group, tally in groups if (value := measure.read(tally)) is not None]
    least, most = min(known), max(known)
    if least[0] == most[0]:
        return f"{measure.said(most[0])} throughout, where anything was counted."
    return f"From {measure.said(least[0])} ({least[1]}) to {measure.said(most[0])} ({most[1]})."


def label(group: Group) -> str:
    """Tue 24 Nov, or the name."""
    if group.day is not None:
        return short_day(group.day)
    named = group.territory or group.service
    return named.name if named is not None else "All"


def short_day(day: date) -> str:
    """Tue 24 Nov."""
    return f"{day:%a} {day.day} {day:%b}"
