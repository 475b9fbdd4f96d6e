"""What came of a simulated day: a table for people and JSON for programs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from seed.report import ratio_text
from seed.simulation.day import Outcome
from seed.simulation.figures import Figures, Spread, figures_json, figures_of
from seed.simulation.people import PHONES_OFF, PHONES_ON

CAPTION = (
    "By hand: the same calls and people; each call to the nearest qualified technician who is free, asked by "
    "telephone at once, with any number of telephones.\n"
    "¹ From the call to a window that the customer was told; from the first technician asked to the yes that held. "
    "Median, and what nine of ten stay below.\n"
    "² Pay for what was served, and the optimizer's price on every call that was not, urgent ones dearer.\n"
    "³ Gini coefficient over everybody who works: 0 the same for all, near 1 all for one."
)


def compared(outcome: Outcome) -> tuple[Figures, Figures]:
    """Ours and by hand."""
    return figures_of(outcome.people, outcome.ours), figures_of(outcome.people, outcome.by_hand)


class _Rows:
    """Rows of the table."""

    def __init__(self, table: Table, ours: Figures, by_hand: Figures) -> None:
        self.table, self.ours, self.by_hand = table, ours, by_hand

    def add(
        self,
        name: str,
        words: Callable[[Figures], str],
        figure: Callable[[Figures], float | None] | None = None,
        *,
        more_is_better: bool | None = None,
        style: str | None = None,
    ) -> None:
        """figure: of which the ratio is shown."""
        ratio: Text | str = ""
        if figure is not None:
            ratio = ratio_text(
                figure(self.ours) or 0, figure(self.by_hand) or 0, more_is_better=more_is_better
            )
        self.table.add_row(name, words(self.ours), words(self.by_hand), ratio, style=style)


def _minutes(spread: Spread) -> str:
    if spread.median_s is None or spread.ninth_s is None:
        return "–"
    return f"{spread.median_s / 60:,.0f}, {spread.ninth_s / 60:,.0f} min"


def _promise_rows(rows: _Rows) -> None:
    rows.add(
        "Customers told a window",
        lambda f: f"{f.promised:,} of {f.calls:,}",
        lambda f: f.promised,
        more_is_better=True,
    )
    rows.add(
        "Promises kept",
        lambda f: f"{f.kept:,} of {f.promised:,}",
        lambda f: f.kept,
        more_is_better=True,
        style="bold",
    )
    rows.add("  share of those given", lambda f: f"{f.kept / max(1, f.promised):.1%}", style="dim")
    rows.add("  too late", lambda f: f"{f.late:,}", style="dim")
    rows.add("  nobody came", lambda f: f"{f.nobody_came:,}", style="dim")
    rows.add("Served", lambda f: f"{f.served:,}", lambda f: f.served, more_is_better=True, style="bold")
    urgent = "  of them urgent"
    rows.add(
        urgent,
        lambda f: f"{f.urgent_served:,} of {f.urgent:,}",
        lambda f: f.urgent_served,
        more_is_better=True,
    )
    rows.add("Doors that stayed closed", lambda f: f"{f.closed:,}")


def _time_rows(rows: _Rows) -> None:
    rows.add(
        "Time to answer ¹",
        lambda f: _minutes(f.to_answer),
        lambda f: f.to_answer.median_s,
        more_is_better=False,
    )
    rows.add(
        "Time to fill ¹", lambda f: _minutes(f.to_fill), lambda f: f.to_fill.median_s, more_is_better=False
    )
    rows.add("Asked", lambda f: f"{f.asked.sent:,}", lambda f: f.asked.sent)
    rows.add("  yes, no", lambda f: f"{f.asked.accepted:,}, {f.asked.declined:,}", style="dim")
    rows.add("  no answer in time", lambda f: f"{f.asked.expired:,}", style="dim")


def _cost_rows(rows: _Rows) -> None:
    rows.add("Travel", lambda f: f"{f.travel_m / 1000:,.0f} km", lambda f: f.travel_m)
    rows.add(
        "Travel for each visit",
        lambda f: f"{f.travel_m_per_visit / 1000:.1f} km",
        lambda f: f.travel_m_per_visit,
        more_is_better=False,
    )
    rows.add(
        "Cost ²",
        lambda f: f"${f.cost_cents / 100:,.0f}",
        lambda f: f.cost_cents,
        more_is_better=False,
        style="bold",
    )
    rows.add("  pay alone", lambda f: f"${f.pay_cents / 100:,.0f}", style="dim")
    rows.add(
        "  pay for each call served",
        lambda f: f"${f.pay_cents / 100 / max(1, f.served):,.2f}",
        lambda f: f.pay_cents / max(1, f.served),
        more_is_better=False,
    )


def _fairness_rows(rows: _Rows) -> None:
    rows.add(
        "Pay for an active hour",
        lambda f: "–" if f.per_active_hour_cents is None else f"${f.per_active_hour_cents / 100:,.2f}",
        lambda f: f.per_active_hour_cents,
    )
    rows.add(
        "Inequality of pay ³", lambda f: _share(f.gini_of_pay), lambda f: f.gini_of_pay, more_is_better=False
    )
    rows.add(
        "Inequality of hours ³",
        lambda f: _share(f.gini_of_hours),
        lambda f: f.gini_of_hours,
        more_is_better=False,
    )


def _share(coefficient: float | None) -> str:
    return "–" if coefficient is None else f"{coefficient:.2f}"


def title_of(outcome: Outcome) -> str:
    day = outcome.day
    return (
        f"{day.date:%A}, {day.date.day} {day.date:%B %Y}, in New York, simulated with seed {outcome.seed}: "
        f"{len(day.calls)} calls, {len(day.freelancers)} freelancers"
    )


def as_table(outcome: Outcome) -> Table:
    """For a terminal; ratios are ours over by hand."""
    table = Table(
        title=title_of(outcome),
        title_style="bold",
        title_justify="left",
        header_style="bold",
        box=box.ROUNDED,
    )
    table.add_column("")
    for name in ("this system", "by hand", "ratio"):
        table.add_column(name, justify="right")
    rows = _Rows(table, *compared(outcome))
    for section in (_promise_rows, _time_rows, _cost_rows, _fairness_rows):
        section(rows)
        table.add_section()
    table.caption, table.caption_justify = CAPTION, "left"
    return table


def assumptions_of(outcome: Outcome) -> list[str]:
    """What was assumed, in words."""
    closed = outcome.people.assumptions.closed_if_chosen
    doors = (
        "Doors stay closed as they did in 2012, for both alike, also where the customer chose the window."
        if closed == 1
        else f"Doors stay closed as they did in 2012; where the customer chose the window, {closed:.0%} of these do."
    )
    left = (
        f"{outcome.too_late} calls came too late for that day and are in neither. "
        if outcome.too_late
        else ""
    )
    return [
        left + doors,
        f"Freelancers hear their phones from {PHONES_ON:%H:%M} to {PHONES_OFF:%H:%M}; work and ways take longer or "
        "shorter than planned. docs/simulate.md says what else is assumed.",
    ]


def machinery_of(outcome: Outcome) -> list[str]:
    """How much was done: plans, calls of the API, and what was refused."""
    refused = {(route, status): n for (route, status), n in outcome.answers.items() if status >= 400}
    told = [
        f"{outcome.plans} plans of {outcome.policy.max_work:,} iterations, "
        f"{sum(outcome.answers.values()):,} calls of the API, {sum(refused.values())} refused"
    ]
    return told + [f"  {status} {route}: {n}" for (route, status), n in refused.items()]


def wrongs_of(outcome: Outcome) -> list[str]:
    """Why the day is not sound."""
    failed = [
        f"{n} times {status}: {route}" for (route, status), n in outcome.answers.items() if status >= 500
    ]
    return [*failed, *outcome.faults]


def as_json(outcome: Outcome) -> dict[str, Any]:
    """All of it but the real time that it took, so that the same seed gives the same bytes."""
    ours, by_hand = compared(outcome)
    routes: dict[str, Counter[str]] = {}
    for (route, status), n in outcome.answers.items():
        routes.setdefault(route, Counter())[str(status)] += n
    return {
        "date": outcome.day.date.isoformat(),
        "seed": outcome.seed,
        "calls": len(outcome.day.calls),
        "too_late": outcome.too_late,
        "freelancers": len(outcome.day.freelancers),
        "assumptions": asdict(outcome.people.assumptions),
        "policy": asdict(outcome.policy),
        "ours": figures_json(ours),
        "by_hand": figures_json(by_hand),
        "plans": outcome.plans,
        "api": {route: dict(counts) for route, counts in sorted(routes.items())},
        "faults": list(outcome.faults),
    }
