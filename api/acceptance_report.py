"""The model of acceptance for people: its figures as tables, its calibration as a picture."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from dispatch.acceptance import STATED, AcceptanceTraining
from dispatch.errors import Conflict, Invalid

PICTURES = (".png", ".svg", ".pdf")
INK, FAINT = "#22303a", "#9aa5ac"


def parts(training: AcceptanceTraining | None) -> Iterator[RenderableType]:
    """What was learned, how good it is, and what each term does to the odds; of the stated prior where nothing was
    learned yet."""
    if training is None:
        yield "Nothing was learned from answers yet; the stated prior stands."
        yield _stated_table()
        return
    yield _quality_table(training)
    if training.calibration:
        yield _calibration_table(training.calibration)
    yield _learned_table(training)


def _stated_table() -> Table:
    table = Table(
        "term", "log-odds", "odds", "assumed because", title="the stated prior", title_justify="left"
    )
    for name, belief in STATED.items():
        shown = f"{belief.weight:+.2f} ± {belief.spread:.1f}"
        table.add_row(_words(name), shown, _times(belief.weight), belief.why)
    return table


def _quality_table(training: AcceptanceTraining) -> Table:
    title = f"trained {training.trained_at:%Y-%m-%d %H:%M} UTC"
    table = Table("figure", "value", title=title, title_justify="left")
    table.add_row("answers used", f"{training.answers:,}")
    table.add_row("accepted", f"{training.accepted:,} ({training.accepted / training.answers:.0%})")
    losses = {
        "the model": training.log_loss,
        "the stated prior": training.prior_log_loss,
        "the base rate": training.base_log_loss,
    }
    for name, loss in losses.items():
        shown = "too few visits to tell" if loss is None else f"{loss:.4f}"
        table.add_row(f"log loss of {name}", shown)
    table.caption = "log loss: by cross-validation over visits, less is better"
    return table


def _calibration_table(bins: list[dict[str, Any]]) -> Table:
    table = Table("foretold", "happened", "answers", title="calibration", title_justify="left")
    for each in bins:
        table.add_row(f"{each['predicted']:.3f}", f"{each['observed']:.3f}", f"{each['count']:,}")
    return table


def _learned_table(training: AcceptanceTraining) -> Table:
    table = Table("term", "stated", "learned", "odds", title="what each term does", title_justify="left")
    for name, belief in STATED.items():
        learned = training.weights[name]
        table.add_row(_words(name), f"{belief.weight:+.2f}", f"{learned:+.2f}", _times(learned))
    for trade, learned in _by_size(training.trades):
        table.add_row(f"trade {trade or '(none)'}", "+0.00", f"{learned:+.2f}", _times(learned))
    return table


def _by_size(trades: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(trades.items(), key=lambda item: -item[1])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _times(log_odds: float) -> str:
    return f"x {math.exp(log_odds):.2f}"


def draw(training: AcceptanceTraining | None, path: Path) -> None:
    """The calibration: for each bin what was foretold and what happened, with its 90 % interval. Raises `Invalid` for
    a kind of file that is not drawn or a directory that is not there, `Conflict` where there is no calibration."""
    if path.suffix.lower() not in PICTURES:
        raise Invalid(errors=[("plot", f"the file's name must end in one of {', '.join(PICTURES)}")])
    if not path.parent.is_dir():
        raise Invalid(errors=[("plot", f"there is no directory {path.parent}")])
    if training is None or not training.calibration:
        raise Conflict("no_calibration", "Too few visits were answered to draw a calibration.")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6.2), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
    said = [each["predicted"] for each in training.calibration]
    happened = [each["observed"] for each in training.calibration]
    axes.errorbar(
        said, happened, yerr=_interval(training.calibration), color=INK, marker="o", linewidth=1, capsize=3
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="foretold", ylabel="accepted")
    axes.set_title(f"{training.answers:,} answers, log loss {training.log_loss:.3f}", loc="left", color=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)


def _interval(bins: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """How far Wilson's 90 % interval reaches below and above what happened."""
    from scipy.stats import binomtest

    below, above = [], []
    for each in bins:
        count, share = each["count"], each["observed"]
        reach = binomtest(round(share * count), count).proportion_ci(0.9, method="wilson")
        below.append(max(0.0, share - reach.low))
        above.append(max(0.0, reach.high - share))
    return below, above
