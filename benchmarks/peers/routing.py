"""OR-Tools' routing library (pywrapcp) as its guides have it: parallel cheapest insertion, which gave better plans here
than local cheapest insertion and the automatic choice, then guided local search; one thread. Modelled directly on the
instance, not through this project's `engine="routing"`."""

import time
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from benchmarks.instance import Instance, Route, Routes
from benchmarks.peers import NoPlan, Peer, Solve, Task, Tell

LONGEST_LEGS_OF_A_PRIZE = 10
"""The penalty of leaving out a client that must be served, in longest legs."""


def prepare(instance: Instance, task: Task) -> Solve:
    model = Model(instance, task.seed)

    def solve(tell: Tell) -> Routes:
        return model.solve(task.limit_s, tell)

    return solve


class Model:
    """Node k is client k; the others are the depots. Clients that must be served may be left out too, at a penalty
    above any detour, so that the library finds a first plan at all; a plan that leaves one out is not told."""

    def __init__(self, instance: Instance, seed: int) -> None:
        self.instance = instance
        self.kinds = [
            number
            for number, kind in enumerate(instance.vehicle_types)
            for _ in range(min(kind.count, len(instance.clients)))
        ]
        clients = len(instance.clients)
        depots = sorted({kind.depot for kind in instance.vehicle_types})
        ends = [clients + depots.index(instance.vehicle_types[kind].depot) for kind in self.kinds]
        self.manager = pywrapcp.RoutingIndexManager(clients + len(depots), len(self.kinds), ends, ends)
        self.routing = pywrapcp.RoutingModel(self.manager)
        self.routing.solver().ReSeed(seed)
        self.index = [self.manager.NodeToIndex(client) for client in range(clients)]
        places = [client.place for client in instance.clients] + depots
        legs = instance.matrix[np.ix_(places, places)]
        self._price_legs(legs)
        self._keep_hours(legs)
        self._keep_loads(len(depots))
        self._choose_vehicles()

    def solve(self, limit_s: float, tell: Tell) -> Routes:
        began = time.perf_counter()
        parameters = pywrapcp.DefaultRoutingSearchParameters()
        parameters.first_solution_strategy = (
            routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
        )
        parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
        self.routing.AddAtSolutionCallback(lambda: self._found(tell))
        parameters.time_limit.FromMilliseconds(int(limit_s * 1000))
        self.routing.CloseModelWithParameters(parameters)
        left_s = limit_s - (time.perf_counter() - began)
        parameters.time_limit.FromMilliseconds(max(1, int(left_s * 1000)))
        answer = self.routing.SolveWithParameters(parameters)
        if answer is None:
            raise NoPlan("no plan")
        return tuple(Route(kind, self._clients(vehicle, answer)) for vehicle, kind in enumerate(self.kinds))

    def _found(self, tell: Tell) -> None:
        left_out = [
            self.instance.clients[number]
            for number, index in enumerate(self.index)
            if self.routing.ActiveVar(index).Max() == 0
        ]
        if any(client.prize is None for client in left_out):
            return
        tell(int(self.routing.CostVar().Value()), len(left_out))

    def _clients(self, vehicle: int, answer: pywrapcp.Assignment) -> tuple[int, ...]:
        clients = []
        index = answer.Value(self.routing.NextVar(self.routing.Start(vehicle)))
        while not self.routing.IsEnd(index):
            clients.append(self.manager.IndexToNode(index))
            index = answer.Value(self.routing.NextVar(index))
        return tuple(clients)

    def _price_legs(self, legs: NDArray[np.int32]) -> None:
        self.routing.SetArcCostEvaluatorOfAllVehicles(self.routing.RegisterTransitMatrix(legs.tolist()))
        compelling = LONGEST_LEGS_OF_A_PRIZE * int(legs.max())
        for client, index in zip(self.instance.clients, self.index, strict=True):
            self.routing.AddDisjunction([index], compelling if client.prize is None else client.prize)

    def _keep_hours(self, legs: NDArray[np.int32]) -> None:
        """A vehicle may wait anywhere; it leaves its depot when it likes within its hours."""
        durations = legs.copy()
        for number, client in enumerate(self.instance.clients):
            durations[number] += client.service
        transit = self.routing.RegisterTransitMatrix(durations.tolist())
        horizon = max(kind.window[1] for kind in self.instance.vehicle_types)
        self.routing.AddDimension(transit, horizon, horizon, False, "time")
        times = self.routing.GetDimensionOrDie("time")
        for client, index in zip(self.instance.clients, self.index, strict=True):
            times.CumulVar(index).SetRange(client.window[0], min(client.window[1], horizon))
        for vehicle, number in enumerate(self.kinds):
            kind = self.instance.vehicle_types[number]
            times.CumulVar(self.routing.Start(vehicle)).SetRange(*kind.window)
            times.CumulVar(self.routing.End(vehicle)).SetRange(*kind.window)
            if kind.longest is not None:
                times.SetSpanUpperBoundForVehicle(kind.longest, vehicle)

    def _keep_loads(self, depots: int) -> None:
        if all(kind.capacity is None for kind in self.instance.vehicle_types):
            return
        loads = [client.load for client in self.instance.clients] + [0] * depots
        capacities = [self.instance.vehicle_types[number].capacity for number in self.kinds]
        rooms = [sum(loads) if capacity is None else capacity for capacity in capacities]
        transit = self.routing.RegisterUnaryTransitVector(loads)
        self.routing.AddDimensionWithVehicleCapacity(transit, 0, rooms, True, "load")

    def _choose_vehicles(self) -> None:
        """By the variable: `SetAllowedVehiclesForIndex` raises `TypeError` in the wheel of 9.15."""
        rights = self.instance.rights()
        if rights.all_alike:
            return
        classes = np.array([rights.class_of_type[number] for number in self.kinds])
        vehicles = [np.flatnonzero(may[classes]).tolist() for may in rights.allowed.T]
        for pattern, index in zip(rights.class_of_client, self.index, strict=True):
            self.routing.VehicleVar(index).SetValues([-1, *vehicles[pattern]])


PEER = Peer("routing", version("ortools"), threaded=False, seeded=False, prepare=prepare)
