"""The routes of a day on a map, as a picture. It needs no map server: the city's outline is that of its
neighbourhoods, whose centres are among the figures of `seed.city`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from optimizer import Plan, Problem, Route, Shift
from optimizer.travel import Place
from seed.city import facts
from seed.derive_facts import METRES_PER_DEGREE
from seed.trades import TRADES

SHORE, LAND, WATER, INK = "#d8d2c4", "#f6f3ec", "#dbe6ec", "#22303a"
LEFT_OUT = "#101418"

NEIGHBOURHOOD_KM = 1.7
"""Radius of the disc that stands for a neighbourhood."""

CENTRE = Place(40.705, -73.975)
SOUTH_KM, NORTH_KM, WEST_KM, EAST_KM = -24.5, 24.0, -26.0, 24.5
"""What is shown, kilometres from the centre: all of the city."""

HUES = dict(zip(TRADES, (0.99, 0.61, 0.13, 0.07, 0.75, 0.36, 0.50, 0.87), strict=True))

Colour = tuple[float, float, float]
Point = tuple[float, float]


def main_trade(shift: Shift) -> str:
    """The trade that a technician knows best; of several, the first by name."""
    return max(sorted(shift.skills), key=lambda trade: shift.skills[trade])


def _colour(trade: str, shade: float) -> Colour:
    """shade: 0 is light, 1 dark. A trade that is not one of the eight is grey."""
    hue = HUES.get(trade)
    red, green, blue = hsv_to_rgb(
        (hue or 0.0, 0.0 if hue is None else 0.55 + 0.4 * shade, 0.88 - 0.4 * shade)
    )
    return float(red), float(green), float(blue)


def _colours(shifts: Sequence[Shift]) -> dict[str, Colour]:
    """A colour for each shift: the hue is that of the trade, the shade the person's own."""
    number: dict[str, int] = {}
    colours: dict[str, Colour] = {}
    for shift in shifts:
        trade = main_trade(shift)
        number[trade] = number.get(trade, -1) + 1
        colours[shift.id] = _colour(trade, number[trade] * 0.618 % 1)
    return colours


def _at(lat: float, lon: float) -> Point:
    """Kilometres east and north of the centre."""
    km = METRES_PER_DEGREE / 1000
    return (lon - CENTRE.lon) * km * math.cos(math.radians(CENTRE.lat)), (lat - CENTRE.lat) * km


def _draw_city(axes: Axes) -> None:
    places = [
        (place["borough"], _at(place["lat"], place["lon"])) for place in facts()["neighbourhoods"].values()
    ]
    for colour, beyond_km, layer in ((SHORE, 0.12, 0), (LAND, 0.0, 1)):
        for _, point in places:
            axes.add_patch(
                Circle(point, NEIGHBOURHOOD_KM + beyond_km, color=colour, linewidth=0, zorder=layer)
            )
    for borough in facts()["by_borough"]:
        centres = [point for name, point in places if name == borough]
        x, y = (sum(values) / len(centres) for values in zip(*centres, strict=True))
        words = borough.upper().replace(" ", "\n")
        axes.text(
            x,
            y,
            words,
            color=INK,
            size=14,
            weight="bold",
            ha="center",
            va="center",
            alpha=0.8,
            zorder=8,
            path_effects=[withStroke(linewidth=4, foreground=LAND, alpha=0.8)],
        )


def _route_points(problem: Problem, route: Route, points: Sequence[Point]) -> list[Point]:
    place_of = {visit.id: visit.place for visit in problem.visits}
    shift = next(shift for shift in problem.shifts if shift.id == route.shift)
    way = [shift.start_place, *(place_of[stop.visit] for stop in route.stops), shift.end_place]
    return [points[place] for place in way if place is not None]


def _draw_plan(axes: Axes, problem: Problem, plan: Plan, points: Sequence[Point]) -> None:
    colours = _colours(problem.shifts)
    place_of = {visit.id: visit.place for visit in problem.visits}
    for route in plan.routes:
        way = _route_points(problem, route, points)
        stops = [points[place_of[stop.visit]] for stop in route.stops]
        colour = colours[route.shift]
        axes.plot(*zip(*way, strict=True), color=colour, linewidth=1.1, alpha=0.75, zorder=4)
        x, y = zip(*stops, strict=True)
        axes.scatter(x, y, s=15, color=colour, edgecolors="white", linewidths=0.4, zorder=5)
    homes = {shift.id: points[shift.start_place] for shift in problem.shifts if shift.start_place is not None}
    if homes:
        edges = [colours[name] for name in homes]
        x, y = zip(*homes.values(), strict=True)
        axes.scatter(x, y, s=26, marker="s", color="white", edgecolors=edges, linewidths=1.3, zorder=6)
    if plan.unserved:
        x, y = zip(*(points[place_of[entry.visit]] for entry in plan.unserved), strict=True)
        axes.scatter(x, y, s=34, marker="x", color=LEFT_OUT, linewidths=1.6, zorder=7)


def _draw_scale(axes: Axes, length_km: int = 5) -> None:
    x, y = EAST_KM - 1.5 - length_km, SOUTH_KM + 1.5
    axes.plot([x, x + length_km], [y, y], color=INK, linewidth=2.5, solid_capstyle="butt", zorder=8)
    axes.text(x + length_km / 2, y + 0.4, f"{length_km} km", color=INK, size=10, ha="center", zorder=8)


def _legend(axes: Axes, problem: Problem) -> None:
    trades = [trade for trade in TRADES if any(main_trade(shift) == trade for shift in problem.shifts)]
    marks = [
        Line2D([], [], color=_colour(trade, 0.5), marker="o", markersize=5, label=trade.replace("_", " "))
        for trade in trades
    ]
    home = Line2D(
        [], [], linestyle="", marker="s", markersize=6, color="white", markeredgecolor=INK, label="home"
    )
    left_out = Line2D([], [], linestyle="", marker="x", markersize=6, color=LEFT_OUT, label="left out")
    left_out.set_markeredgewidth(1.6)
    axes.legend(
        handles=[*marks, home, left_out],
        loc="upper left",
        fontsize=10,
        labelcolor=INK,
        frameon=True,
        facecolor="white",
        edgecolor="none",
        title="a route and its visits,\nby the technician's trade;\nways are drawn straight",
        title_fontsize=10,
    )


def _draw_panel(axes: Axes, name: str, problem: Problem, plan: Plan, points: Sequence[Point]) -> None:
    axes.set(xlim=(WEST_KM, EAST_KM), ylim=(SOUTH_KM, NORTH_KM), aspect="equal", xticks=[], yticks=[])
    axes.set_facecolor(WATER)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _draw_city(axes)
    _draw_plan(axes, problem, plan, points)
    _draw_scale(axes)
    travel_km = sum(route.travel_m for route in plan.routes) / 1000
    figures = f"{plan.served:,} visits, {travel_km:,.0f} km, {travel_km / max(1, plan.served):.1f} km a visit"
    axes.set_title(f"{name}: {figures}", color=INK, size=15, loc="left", pad=8)


def draw_map(
    problem: Problem, plans: Mapping[str, Plan], places: Sequence[Place], path: Path, *, title: str
) -> None:
    """Write a PNG of the plans, side by side, each under its name. places: of the travel matrix's rows.

    Ways are drawn straight. What lies outside New York is not in the picture. Raises `ValueError` without a
    plan.
    """
    if not plans:
        raise ValueError("there is no plan to draw")
    points = [_at(place.lat, place.lon) for place in places]
    figure = Figure(figsize=(11 * len(plans), 11.4), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, color=INK, size=20, weight="bold", x=0.004, ha="left")
    panels = figure.subplots(1, len(plans), squeeze=False)[0]
    for axes, (name, plan) in zip(panels, plans.items(), strict=True):
        _draw_panel(axes, name, problem, plan, points)
    _legend(panels[0], problem)
    figure.savefig(path, dpi=110)
