"""Instances from files, in the two formats of the field, and what is known of their best cost.

`.txt`: Solomon's and Gehring & Homberger's format. `.vrp`: VRPLIB's with the extensions of PyVRP's dialect
(https://pyvrp.org/dev/supported_vrplib_fields.html) that the families MDVRPTW, SDVRPTW and PCVRPTW use. Both are parsed
by the package `vrplib`.

How lengths become integers is a convention of each set, named in the column `convention` of `best-known.csv`; where
that file says nothing, the family's usual one is taken, see `Convention.usual`.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
import vrplib

from benchmarks.evaluator import evaluate
from benchmarks.instance import Client, Euclidean, Instance, Route, Routes, VehicleType

NO_LIMIT = 10**9
"""Stands for a window that never closes: beyond every schedule of these families, yet within 32 bits."""


class UnsupportedInstance(ValueError):
    """The file asks for a rule that the benchmark does not know; solving it without would be another problem."""


@dataclass(frozen=True, slots=True)
class Convention:
    """scale: units to one of the file. best_known_scale: the same for the figure in `best-known.csv`.
    vehicles_first: the best known has fewest vehicles, not least distance, and is no measure of a distance."""

    scale: int
    to_integer: Literal["truncated", "rounded"]
    best_known_scale: int
    vehicles_first: bool = False

    @classmethod
    def named(cls, text: str) -> "Convention":
        """From the words of `best-known.csv`. Raises `ValueError` for words that name none."""
        words = text.lower()
        if "truncated to 0.1" in words:
            return cls(10, "truncated", 1 if "x10" in words else 10)
        if "x1000 rounded" in words:
            return cls(1000, "rounded", 1)
        if "double" in words:
            return cls(1000, "rounded", 1000, "vehicles first" in words)
        raise ValueError(f"convention {text!r} is unknown")

    @classmethod
    def usual(cls, path: Path, family: str) -> "Convention":
        """Of the family: DIMACS' truncation for VRPTW and PCVRPTW in VRPLIB's format, thousandths otherwise."""
        if path.suffix == ".vrp" and family in ("VRPTW", "PCVRPTW"):
            return cls.named("truncated to 0.1")
        return cls.named("double precision" if path.suffix == ".txt" else "x1000 rounded")

    @property
    def unit(self) -> str:
        return f"1/{self.scale}"

    def integers(self, values: object) -> Any:
        """int64 of the same shape."""
        scaled = self.scale * np.asarray(values, np.float64)
        return (np.floor(scaled) if self.to_integer == "truncated" else np.rint(scaled)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Known:
    """A row of `best-known.csv`."""

    best_known: float | None
    convention: str


def read_best_known(folder: Path) -> Mapping[tuple[str, str], Known]:
    """By set and instance; empty if the folder has no `best-known.csv`."""
    path = folder / "best-known.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as rows:
        return {
            (row["set"], row["instance"]): Known(
                float(row["best_known"]) if row["best_known"] else None, row["convention"]
            )
            for row in csv.DictReader(rows)
        }


def instance_files(folder: Path) -> Iterator[Path]:
    """Every `.txt` and `.vrp` below the folder's subfolders, or in the folder itself, in order of name."""
    yield from sorted(
        path for path in folder.rglob("*") if path.suffix in (".txt", ".vrp") and path.is_file()
    )


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """A file and what `best-known.csv` says of it; best_known is in that file's unit."""

    path: str
    convention: str | None = None
    best_known: float | None = None

    def instance(self) -> Instance:
        return read_instance(Path(self.path), self.convention, self.best_known)


def read_instance(path: Path, words: str | None = None, best_known: float | None = None) -> Instance:
    """The instance of a file. words: the name of its convention, None for the family's usual one. best_known: as in
    `best-known.csv`; without it a `.sol` beside the file serves.

    Raises `UnsupportedInstance`, and what `vrplib` raises for a file that it cannot parse."""
    form = "solomon" if path.suffix == ".txt" else "vrplib"
    fields = vrplib.read_instance(path, instance_format=form, compute_edge_weights=False)
    convention = (
        Convention.named(words) if words else Convention.usual(path, str(fields.get("type", "VRPTW")))
    )
    _refuse_unknown_rules(path, fields)
    reader = _Reader(fields, convention)
    vehicles = reader.vehicle_of_route()
    types = tuple(dict.fromkeys(vehicles))
    instance = Instance(
        path.parent.name,
        path.stem,
        convention.unit,
        reader.travel(),
        reader.clients(),
        tuple(replace(kind, count=vehicles.count(kind)) for kind in types),
    )
    best, source = _best_known(
        path, instance, [types.index(kind) for kind in vehicles], best_known, convention
    )
    return replace(instance, best_known=best, best_known_source=source)


SPECIFICATIONS = {"name", "comment", "type", "edge_weight_type", "dimension", "vehicles"}
RULES = {
    "capacity",
    "demand",
    "depot",
    "node_coord",
    "prize",
    "service_time",
    "time_window",
    "vehicles_allowed_clients",
    "vehicles_depot",
    "vehicles_max_duration",
}


def _refuse_unknown_rules(path: Path, fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - SPECIFICATIONS - RULES)
    if unknown:
        raise UnsupportedInstance(f"{path.name}: {', '.join(unknown)} is not supported")
    if fields.get("edge_weight_type", "EUC_2D") != "EUC_2D":
        raise UnsupportedInstance(f"{path.name}: edge weights must be EUC_2D")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the fields of a file into the parts of an instance. Depots are the first places."""

    fields: Mapping[str, Any]
    convention: Convention

    @property
    def places(self) -> int:
        return len(self.fields["node_coord"])

    @property
    def depots(self) -> int:
        depots = np.atleast_1d(self.fields.get("depot", 0)).ravel()
        if list(depots) != list(range(len(depots))):
            raise UnsupportedInstance("depots must be the first nodes")
        return len(depots)

    def travel(self) -> Euclidean:
        points = tuple((float(x), float(y)) for x, y in self.fields["node_coord"])
        return Euclidean(points, self.convention.scale, self.convention.to_integer)

    def clients(self) -> tuple[Client, ...]:
        """A prize of 0 marks a client that must be served, as PyVRP reads it."""
        demand = np.broadcast_to(self.fields.get("demand", 0), self.places)
        prizes = self.convention.integers(np.broadcast_to(self.fields.get("prize", 0), self.places))
        services = self.convention.integers(np.broadcast_to(self.fields.get("service_time", 0), self.places))
        windows = self._windows()
        return tuple(
            Client(
                place,
                windows[place],
                int(services[place]),
                int(demand[place]),
                int(prizes[place]) if prizes[place] else None,
            )
            for place in range(self.depots, self.places)
        )

    def vehicle_of_route(self) -> list[VehicleType]:
        """The type of each vehicle in the file's order, which is that of the routes of a `.sol`."""
        vehicles = int(self.fields.get("vehicles", self.places - self.depots))
        capacities = self._by_vehicle("capacity", vehicles)
        longest = self._by_vehicle("vehicles_max_duration", vehicles)
        depots = self._by_vehicle("vehicles_depot", vehicles)
        allowed = self.fields.get("vehicles_allowed_clients")
        windows = self._windows()
        made = []
        for vehicle in range(vehicles):
            depot = 0 if depots[vehicle] is None else int(depots[vehicle]) - 1
            capacity, cap = capacities[vehicle], longest[vehicle]
            made.append(
                VehicleType(
                    1,
                    depot,
                    windows[depot],
                    None if capacity is None else int(capacity),
                    None if cap is None else int(self.convention.integers(cap)),
                    None if allowed is None else self._listed(allowed[vehicle]),
                )
            )
        return made

    def _windows(self) -> list[tuple[int, int]]:
        if "time_window" not in self.fields:
            return [(0, NO_LIMIT)] * self.places
        return [(int(start), int(end)) for start, end in self.convention.integers(self.fields["time_window"])]

    def _by_vehicle(self, name: str, vehicles: int) -> list[Any]:
        value = self.fields.get(name)
        if value is None or isinstance(value, Real):
            return [value] * vehicles
        if len(value) != vehicles:
            raise UnsupportedInstance(f"{name} has {len(value)} rows for {vehicles} vehicles")
        return list(value)

    def _listed(self, nodes: Any) -> frozenset[int] | None:
        """Nodes count from 1 and include the depots. All clients are the same as no list."""
        listed = frozenset(int(node) - 1 - self.depots for node in np.atleast_1d(nodes))
        return None if len(listed) == self.places - self.depots else listed


def _best_known(
    path: Path, instance: Instance, type_of_route: Sequence[int], known: float | None, convention: Convention
) -> tuple[int | None, str]:
    if convention.vehicles_first:
        return None, "the best known has fewest vehicles, not least distance"
    if known is not None:
        return round(known * convention.best_known_scale), "best-known.csv"
    solution = path.with_suffix(".sol")
    if not solution.exists():
        return None, "no best known"
    evaluation = evaluate(instance, read_routes(solution, instance, type_of_route))
    if not evaluation.feasible:
        return None, f"{solution.name} breaks a rule: {evaluation.broken[0]}"
    return evaluation.cost, solution.name


def read_routes(path: Path, instance: Instance, type_of_route: Sequence[int]) -> Routes:
    """The routes of a `.sol`. They name places, counted from 0; route k is that of vehicle k unless all are alike."""
    places = {client.place: number for number, client in enumerate(instance.clients)}
    routes = vrplib.read_solution(path)["routes"]
    if len(set(type_of_route)) == 1:
        type_of_route = [type_of_route[0]] * len(routes)
    return tuple(
        Route(kind, tuple(places[place] for place in route))
        for kind, route in zip(type_of_route, routes, strict=False)
        if route
    )
