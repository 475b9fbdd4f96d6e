"""What two plans of one day come to, side by side: figures, a table for people and JSON for programs.

Both plans are held against the verifier first; a broken one is an error, never a figure.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from dispatch.instants import instant_told
from dispatch.service_request import Priority
from optimizer import Plan, Problem, Reason, Route, TimeWindow, Unserved
from optimizer.check import check
from optimizer.objective import objective
from seed.errors import BrokenPlan
from seed.rehearse import rehearse

WHY_UNSERVED = {
    "no_time": "no time left in a shift nearby",
    "window": "nobody free in time",
    "visit_cap": "technicians take no more visits",
    "travel_cap": "technicians travel no farther",
    "capacity": "technicians have no room left in the van",
    "duration_cap": "technicians' days would be too long",
    "crew": "not enough technicians at once",
    "order": "what has to come first is not done",
    "overlap": "technicians at work elsewhere",
    "notice": "called too late for that day",
    "no_shift": "nobody at work then",
    "outside_radius": "too far from all who can",
    "level_too_low": "nobody skilled enough",
    "skill_expired": "the skill has expired",
    "skill_missing": "nobody knows the trade",
    "excluded": "nobody may be sent",
    "suspended": "technicians are suspended",
    "dearer": "dearer than leaving it",
}
"""In words, the nearest miss first: a visit that one person has no time for and another no skill counts as
the former."""


CAPTION = (
    "By hand: calls in the order in which they came, each to the nearest qualified technician who is free. Our plan "
    "sees the calls of the whole day at once.\n"
    "¹ Arrival windows of two hours, in a rehearsal of the day in which work and ways take longer or shorter than "
    "planned.\n"
    "² Pay, travel and a price on every visit left out, urgent ones dearer: the same sum for both."
)


def require_sound(problem: Problem, plan: Plan, name: str) -> None:
    """Raises `BrokenPlan` with all that `optimizer.check` finds."""
    if violations := check(problem, plan):
        raise BrokenPlan(name, violations)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one plan comes to.

    urgent: visits of high or emergency priority. unserved: visits by the reason nearest to a yes.
    technicians: who have work. travel_s, travel_m: with the ways home. work_s: from leaving home to being
    back, breaks and waiting included. promised: arrival windows told to customers; kept: how many of them
    hold when the day is rehearsed with chance. objective: cents by term; cost_cents their sum.
    """

    visits: int
    served: int
    urgent: int
    urgent_served: int
    unserved: Mapping[str, int]
    technicians: int
    travel_m: int
    travel_s: int
    work_s: int
    promised: int
    kept: int
    objective: Mapping[str, int]

    @property
    def cost_cents(self) -> int:
        """By the optimizer's objective, visits left out included."""
        return sum(self.objective.values())

    @property
    def travel_m_per_visit(self) -> float:
        return self.travel_m / max(1, self.served)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Our plan and the one made by hand, of the same problem."""

    plan: Plan
    plan_by_hand: Plan
    ours: Figures
    by_hand: Figures


def nearest_reason(unserved: Unserved) -> str:
    """The key of `WHY_UNSERVED` under which a visit left out is counted."""
    if unserved.verdict == "dearer":
        return "dearer"
    codes = {reason.code for reason in unserved.reasons}
    return next(code for code in WHY_UNSERVED if code in codes)


Promise = Callable[[str, int], TimeWindow]
"""The arrival window that the customer of a visit, by its id, is told for a planned start."""


def figures_of(
    problem: Problem, plan: Plan, promise: Promise, *, too_late: int = 0, seed: int = 0
) -> Figures:
    """Count a sound plan. too_late: calls of the day that are not in the problem. seed: of the rehearsal."""
    urgent = {visit.id for visit in problem.visits if visit.priority >= Priority.HIGH.rank}
    starts = {stop.visit: stop.start for route in plan.routes for stop in route.stops}
    promised = {visit: promise(visit, start) for visit, start in starts.items()}
    reasons = Counter(nearest_reason(entry) for entry in plan.unserved)
    reasons["notice"] += too_late
    return Figures(
        visits=len(problem.visits) + too_late,
        served=len(starts),
        urgent=len(urgent),
        urgent_served=len(urgent & starts.keys()),
        unserved={code: reasons[code] for code in WHY_UNSERVED if reasons[code]},
        technicians=len({route.technician for route in plan.routes}),
        travel_m=sum(route.travel_m for route in plan.routes),
        travel_s=sum(route.travel_s for route in plan.routes),
        work_s=sum(route.returns_at - route.departs_at for route in plan.routes),
        promised=len(promised),
        kept=rehearse(problem, plan, promised, seed=seed).kept,
        objective=objective(problem, plan),
    )


def compare(
    problem: Problem, plan: Plan, by_hand: Plan, promise: Promise, *, too_late: int = 0, seed: int = 0
) -> Comparison:
    """Both plans of one problem in figures, see `figures_of`. Raises `BrokenPlan` if the verifier finds
    anything in either."""
    require_sound(problem, plan, "our plan")
    require_sound(problem, by_hand, "the plan by hand")
    return Comparison(
        plan,
        by_hand,
        figures_of(problem, plan, promise, too_late=too_late, seed=seed),
        figures_of(problem, by_hand, promise, too_late=too_late, seed=seed),
    )


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def ratio_text(ours: float, by_hand: float, *, more_is_better: bool | None = None) -> Text:
    """Ours over by hand; green if better, red if worse. more_is_better: None where neither is."""
    if not by_hand:
        return Text("–", style="dim")
    ratio = ours / by_hand
    if more_is_better is None or round(ratio, 2) == 1:
        return Text(f"{ratio:.2f}")
    return Text(f"{ratio:.2f}", style="bold green" if (ratio > 1) == more_is_better else "red")


def _dollars(amount_cents: int) -> str:
    return f"${amount_cents / 100:,.0f}"


def _hours(duration_s: int) -> str:
    return f"{duration_s / 3600:,.0f} h"


class _Rows:
    """Rows of the table from a figure's name, both plans' words and their ratio."""

    def __init__(self, table: Table, ours: Figures, by_hand: Figures) -> None:
        self.table, self.ours, self.by_hand = table, ours, by_hand

    def add(
        self, name: str, words: Callable[[Figures], str], ratio: Text | None = None, style: str | None = None
    ) -> None:
        self.table.add_row(name, words(self.ours), words(self.by_hand), ratio or "", style=style)

    def ratio(self, figure: Callable[[Figures], float], *, more_is_better: bool | None = None) -> Text:
        return ratio_text(figure(self.ours), figure(self.by_hand), more_is_better=more_is_better)


def _left_out(code: str, figures: Figures) -> str:
    return f"{figures.unserved.get(code, 0):,}"


def _visit_rows(rows: _Rows) -> None:
    served = rows.ratio(lambda f: f.served, more_is_better=True)
    urgent = rows.ratio(lambda f: f.urgent_served, more_is_better=True)
    left_out = rows.ratio(lambda f: f.visits - f.served, more_is_better=False)
    rows.add("Visits served", lambda f: _of(f.served, f.visits), served, "bold")
    rows.add("  of them urgent", lambda f: _of(f.urgent_served, f.urgent), urgent)
    rows.add("Left out", lambda f: f"{f.visits - f.served:,}", left_out)
    for code, words in WHY_UNSERVED.items():
        if rows.ours.unserved.get(code) or rows.by_hand.unserved.get(code):
            rows.add(f"  {words}", partial(_left_out, code), style="dim")


def _travel_rows(rows: _Rows) -> None:
    people = f"{rows.ours.technicians} and {rows.by_hand.technicians} people"
    rows.add("Travel", lambda f: f"{f.travel_m / 1000:,.0f} km", rows.ratio(lambda f: f.travel_m))
    rows.add("Time on the way", lambda f: _hours(f.travel_s), rows.ratio(lambda f: f.travel_s))
    each = rows.ratio(lambda f: f.travel_m_per_visit, more_is_better=False)
    rows.add("Travel for each visit", lambda f: f"{f.travel_m_per_visit / 1000:.1f} km", each)
    rows.add(f"Time at work, {people}", lambda f: _hours(f.work_s), rows.ratio(lambda f: f.work_s))


def _outcome_rows(rows: _Rows) -> None:
    kept = rows.ratio(lambda f: f.kept, more_is_better=True)
    cost = rows.ratio(lambda f: f.cost_cents, more_is_better=False)
    rows.add("Promises kept ¹", lambda f: _of(f.kept, f.promised), kept)
    rows.add("  share of those given", lambda f: f"{f.kept / max(1, f.promised):.1%}", style="dim")
    rows.add("Cost ²", lambda f: _dollars(f.cost_cents), cost, "bold")
    rows.add(
        "  pay and travel alone", lambda f: _dollars(f.cost_cents - f.objective["serve_visits"]), style="dim"
    )


def as_table(ours: Figures, by_hand: Figures, title: str) -> Table:
    """For a terminal; ratios are ours over by hand."""
    table = Table(title=title, title_style="bold", title_justify="left", header_style="bold", box=box.ROUNDED)
    table.add_column("")
    for name in ("our plan", "by hand", "ratio"):
        table.add_column(name, justify="right")
    rows = _Rows(table, ours, by_hand)
    for section in (_visit_rows, _travel_rows, _outcome_rows):
        section(rows)
        table.add_section()
    table.caption = CAPTION
    table.caption_justify = "left"
    return table


def _instant(seconds: int) -> str:
    return instant_told(datetime.fromtimestamp(seconds, UTC))


def _route_json(route: Route) -> dict[str, Any]:
    return {
        "shift": route.shift,
        "technician": route.technician,
        "departs_at": _instant(route.departs_at),
        "returns_at": _instant(route.returns_at),
        "travel_s": route.travel_s,
        "travel_m": route.travel_m,
        "stops": [
            {
                "visit": stop.visit,
                "arrival": _instant(stop.arrival),
                "scheduled_start": _instant(stop.start),
                "scheduled_end": _instant(stop.end),
                "travel_s": stop.travel_s,
                "travel_m": stop.travel_m,
            }
            for stop in route.stops
        ],
        "breaks": [{"start": _instant(taken.start), "end": _instant(taken.end)} for taken in route.breaks],
    }


def _reasons_json(reasons: tuple[Reason, ...]) -> list[dict[str, Any]]:
    return [
        {"code": reason.code, "detail": reason.detail, "technicians": list(reason.technicians)}
        | ({} if reason.by is None else {"by": reason.by})
        for reason in reasons
    ]


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan for programs: instants in UTC, durations in seconds, distances in metres, money in cents."""
    return {
        "engine": plan.engine,
        "seed": plan.seed,
        "iterations": plan.iterations,
        "elapsed_s": round(plan.elapsed_s, 3),
        "routes": [_route_json(route) for route in plan.routes],
        "unserved": [
            {
                "visit": entry.visit,
                "verdict": entry.verdict,
                "reasons": _reasons_json(entry.reasons),
                "would_fit_if": _reasons_json(entry.would_fit_if),
            }
            for entry in plan.unserved
        ],
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {**asdict(figures), "cost_cents": figures.cost_cents}


def figures_from_json(stored: Mapping[str, Any]) -> Figures:
    """The figures of one plan in what `as_json` gave. Raises `KeyError` if it is of another kind."""
    return Figures(**{field.name: stored[field.name] for field in fields(Figures)})


RATIOS = (
    "served",
    "urgent_served",
    "travel_m",
    "travel_s",
    "work_s",
    "kept",
    "cost_cents",
    "travel_m_per_visit",
)


def as_json(comparison: Comparison, day: date) -> dict[str, Any]:
    """All of the comparison as JSON values, both plans included. ratios: ours over by hand, null over
    nothing."""
    ours, by_hand = comparison.ours, comparison.by_hand
    return {
        "date": day.isoformat(),
        "ours": {**_figures_json(ours), "plan": plan_json(comparison.plan)},
        "by_hand": {**_figures_json(by_hand), "plan": plan_json(comparison.plan_by_hand)},
        "ratios": {
            name: round(getattr(ours, name) / getattr(by_hand, name), 4) if getattr(by_hand, name) else None
            for name in RATIOS
        },
    }
