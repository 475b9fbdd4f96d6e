"""The one judge of all engines: it recomputes the cost and every rule from the instance and the routes alone."""

from collections import Counter
from dataclasses import dataclass

from benchmarks.instance import Instance, Route, Routes, VehicleType


@dataclass(frozen=True, slots=True)
class Evaluation:
    """cost: travel and the prizes of clients left out, in the instance's unit. broken: each rule that the routes break,
    in words; a cost counts only if there are none."""

    cost: int
    travel: int
    served: int
    unserved: int
    vehicles: int
    broken: tuple[str, ...]

    @property
    def feasible(self) -> bool:
        return not self.broken


def evaluate(instance: Instance, routes: Routes) -> Evaluation:
    """Routes without clients count for nothing."""
    used = [route for route in routes if route.clients]
    broken = [*_known(instance, used)]
    if broken:
        return Evaluation(0, 0, 0, len(instance.clients), len(used), tuple(broken))
    broken += _once(used) + _fleet(instance, used)
    travel = 0
    for number, route in enumerate(used):
        legs = _legs(instance, route)
        travel += sum(legs)
        broken += [f"route {number}: {rule}" for rule in _broken_by(instance, route, legs)]
    served = {client for route in used for client in route.clients}
    left_out = [client for number, client in enumerate(instance.clients) if number not in served]
    must = sum(client.prize is None for client in left_out)
    if must:
        broken.append(f"{must} of the clients that must be served are not")
    prizes = sum(client.prize or 0 for client in left_out)
    return Evaluation(travel + prizes, travel, len(served), len(left_out), len(used), tuple(broken))


def _known(instance: Instance, routes: list[Route]) -> list[str]:
    broken = []
    for number, route in enumerate(routes):
        if not 0 <= route.vehicle_type < len(instance.vehicle_types):
            broken.append(f"route {number}: vehicle type {route.vehicle_type} is unknown")
        broken += [
            f"route {number}: client {client} is unknown"
            for client in route.clients
            if not 0 <= client < len(instance.clients)
        ]
    return broken


def _once(routes: list[Route]) -> list[str]:
    times = Counter(client for route in routes for client in route.clients)
    return [f"client {client} is served {count} times" for client, count in times.items() if count > 1]


def _fleet(instance: Instance, routes: list[Route]) -> list[str]:
    used = Counter(route.vehicle_type for route in routes)
    return [
        f"{count} vehicles of type {kind} are used, {instance.vehicle_types[kind].count} exist"
        for kind, count in used.items()
        if count > instance.vehicle_types[kind].count
    ]


def _legs(instance: Instance, route: Route) -> list[int]:
    depot = instance.vehicle_types[route.vehicle_type].depot
    return instance.travel.legs([depot, *(instance.clients[client].place for client in route.clients), depot])


def _broken_by(instance: Instance, route: Route, legs: list[int]) -> list[str]:
    kind = instance.vehicle_types[route.vehicle_type]
    broken = [f"client {client} is not allowed" for client in route.clients if not instance.may(kind, client)]
    load = sum(instance.clients[client].load for client in route.clients)
    if kind.capacity is not None and load > kind.capacity:
        broken.append(f"load {load} is above the capacity {kind.capacity}")
    late = _late(instance, kind, route, legs)
    if late:
        return broken + late
    duration = _duration(instance, kind, route, legs)
    if kind.longest is not None and duration > kind.longest:
        broken.append(f"takes {duration}, longer than {kind.longest}")
    return broken


def _late(instance: Instance, kind: VehicleType, route: Route, legs: list[int]) -> list[str]:
    """Whom the earliest schedule reaches after the window; the depot counts."""
    late = []
    now = kind.window[0]
    for number, leg in zip(route.clients, legs, strict=False):
        client = instance.clients[number]
        now = max(now + leg, client.window[0])
        if now > client.window[1]:
            late.append(f"client {number} is reached {now - client.window[1]} too late")
        now += client.service
    if now + legs[-1] > kind.window[1]:
        late.append(f"returns {now + legs[-1] - kind.window[1]} too late")
    return late


def _duration(instance: Instance, kind: VehicleType, route: Route, legs: list[int]) -> int:
    """The least time from leaving the depot to the return: that of leaving as late as all windows allow. Later
    departures never wait longer, and a route that waits no more takes its travel and service."""
    latest = kind.window[1] - legs[-1]
    for number, leg in zip(reversed(route.clients), reversed(legs[:-1]), strict=True):
        client = instance.clients[number]
        latest = min(client.window[1], latest - client.service) - leg
    now = latest
    for number, leg in zip(route.clients, legs, strict=False):
        client = instance.clients[number]
        now = max(now + leg, client.window[0]) + client.service
    return now + legs[-1] - latest
