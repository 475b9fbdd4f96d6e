"""PyVRP: iterated local search in C++ (Wouda, Lan and Kool, "PyVRP: A High-Performance VRP Solver Package", INFORMS
Journal on Computing 36, 2024). One thread, its own parameters."""

import math
import os
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import pyvrp
from numpy.typing import NDArray
from pyvrp.constants import MAX_VALUE
from pyvrp.IteratedLocalSearch import (
    IteratedLocalSearch,
    IteratedLocalSearchCallbacks,
    IteratedLocalSearchParams,
)
from pyvrp.solve import SolveParams

from benchmarks.instance import Instance, Rights, Route, Routes
from benchmarks.peers import CannotModel, NoPlan, Peer, Solve, Task, Tell

BYTES_OF_A_PAIR = 24
"""Of a profile: the distances and durations that it keeps, and the array that it copies from."""


def prepare(instance: Instance, task: Task) -> Solve:
    """Who may serve whom becomes a profile with unreachable clients, as PyVRP's own reader has it."""
    data = data_of(instance)

    def solve(tell: Tell) -> Routes:
        deadline = time.perf_counter() + task.limit_s
        params = SolveParams(ils=IteratedLocalSearchParams(callbacks=Teller(instance, tell)))
        result = pyvrp.solve(
            data,
            stop=lambda _best: time.perf_counter() > deadline,
            seed=task.seed,
            collect_stats=False,
            params=params,
        )
        if not result.is_feasible():
            raise NoPlan("no feasible plan")
        return routes_of(result.best)

    return solve


def data_of(instance: Instance) -> pyvrp.ProblemData:
    rights = instance.rights()
    _require_room(instance, rights)
    depots = sorted({kind.depot for kind in instance.vehicle_types})
    row = {place: number for number, place in enumerate(depots)}
    clients = [
        pyvrp.Client(
            location=client.place,
            delivery=[client.load],
            service_duration=client.service,
            tw_early=client.window[0],
            tw_late=client.window[1],
            prize=client.prize or 0,
            required=client.prize is None,
        )
        for client in instance.clients
    ]
    no_limit = pyvrp.VehicleType().shift_duration
    types = [
        pyvrp.VehicleType(
            num_available=kind.count,
            capacity=[no_limit if kind.capacity is None else kind.capacity],
            start_depot=row[kind.depot],
            end_depot=row[kind.depot],
            tw_early=kind.window[0],
            tw_late=kind.window[1],
            shift_duration=no_limit if kind.longest is None else kind.longest,
            profile=rights.class_of_type[number],
        )
        for number, kind in enumerate(instance.vehicle_types)
    ]
    distances: list[Any] = [_distances(instance, rights, profile) for profile in range(len(rights.allowed))]
    durations: Any = instance.matrix.astype(np.int64)
    return pyvrp.ProblemData(
        locations=[pyvrp.Location(0, 0) for _ in range(instance.travel.places)],
        clients=clients,
        depots=[pyvrp.Depot(place) for place in depots],
        vehicle_types=types,
        distance_matrices=distances,
        duration_matrices=[durations] * len(distances),
    )


def routes_of(solution: pyvrp.Solution) -> Routes:
    return tuple(
        Route(route.vehicle_type(), tuple(stop.idx for stop in route if stop.is_client()))
        for route in solution.routes()
    )


class Teller(IteratedLocalSearchCallbacks):
    """Tells each best solution as soon as PyVRP has it."""

    def __init__(self, instance: Instance, tell: Tell) -> None:
        self._clients = len(instance.clients)
        self._tell = tell

    def on_start(self, ils: IteratedLocalSearch) -> None:
        self.on_best(ils.initial_solution)

    def on_best(self, best: pyvrp.Solution) -> None:
        if best.is_feasible():
            self._tell(best.distance() + best.uncollected_prizes(), self._clients - best.num_clients())


def _distances(instance: Instance, rights: Rights, profile: int) -> NDArray[np.int64]:
    distances = instance.matrix.astype(np.int64)
    forbidden = [
        client.place
        for number, client in enumerate(instance.clients)
        if not rights.allowed[profile, rights.class_of_client[number]]
    ]
    distances[forbidden, :] = distances[:, forbidden] = MAX_VALUE
    np.fill_diagonal(distances, 0)
    return distances


def _require_room(instance: Instance, rights: Rights) -> None:
    needed = BYTES_OF_A_PAIR * instance.travel.places**2 * len(rights.allowed)
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    if needed > free:
        raise CannotModel(
            f"{len(rights.allowed)} profiles of {instance.travel.places} places take {math.ceil(needed / 1e9)} GB"
        )


PEER = Peer("pyvrp", version("pyvrp"), threaded=False, seeded=True, prepare=prepare)
