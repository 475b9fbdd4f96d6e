"""A picture of a simulated day: how promises and visits came about, and how late technicians were."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seed.calls import OPENS, in_new_york
from seed.map import INK
from seed.problem import seconds
from seed.simulation.day import Outcome
from seed.simulation.record import Story
from seed.simulation.report import title_of

OURS, BY_HAND, CALLS = "#1b6ca8", "#c8553d", "#8a8f94"
LATEST_MIN, BIN_MIN = 120, 10


def draw_day(outcome: Outcome, path: Path) -> None:
    """Writes a PNG."""
    figure = Figure(figsize=(14, 5.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title_of(outcome), color=INK, size=14, weight="bold", x=0.004, ha="left")
    over_the_day, lateness = figure.subplots(1, 2, width_ratios=(1.6, 1))
    _draw_course(over_the_day, outcome)
    _draw_lateness(lateness, outcome)
    figure.savefig(path, dpi=110)


def _draw_course(axes: Axes, outcome: Outcome) -> None:
    midnight = seconds(in_new_york(outcome.day.date, OPENS)) - OPENS.hour * 3600

    def draw(instants: Iterable[int | None], label: str, colour: str, line: str) -> None:
        hours = sorted((at - midnight) / 3600 for at in instants if at is not None)
        axes.step(hours, range(1, len(hours) + 1), where="post", label=label, color=colour, linestyle=line)

    draw((seconds(call.called_at) for call in outcome.people.day.calls), "calls", CALLS, "-")
    for story, name, colour in ((outcome.ours, "this system", OURS), (outcome.by_hand, "by hand", BY_HAND)):
        records = story.records.values()
        draw((record.answered_at for record in records), f"promised, {name}", colour, ":")
        draw((record.ended_at for record in records if record.is_served), f"served, {name}", colour, "-")
    axes.set(xlim=(0, 24), xticks=range(0, 25, 3), xlabel="hour of the day in New York", ylim=(0, None))
    axes.set_title("Calls, promises and visits", loc="left", color=INK)
    axes.legend(loc="upper left", frameon=False)
    _plain(axes)


def _draw_lateness(axes: Axes, outcome: Outcome) -> None:
    bins = range(-120, LATEST_MIN + 1, BIN_MIN)
    for story, name, colour in ((outcome.ours, "this system", OURS), (outcome.by_hand, "by hand", BY_HAND)):
        axes.hist(_past_window_min(story), bins=bins, label=name, color=colour, alpha=0.55)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set(xlabel="minutes from the window's end to the technician at the door", xlim=(-120, LATEST_MIN))
    axes.set_title("Left of the line: promise kept", loc="left", color=INK)
    axes.legend(loc="upper right", frameon=False)
    _plain(axes)


def _past_window_min(story: Story) -> list[float]:
    """What is later than the picture reaches stands at its edge."""
    return [
        min((record.began_at - record.window[1]) / 60, LATEST_MIN - 1)
        for record in story.records.values()
        if record.began_at is not None and record.window is not None
    ]


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
