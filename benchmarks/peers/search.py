"""This project's search: `optimizer.solve(engine="search")`, and past `WHOLE_VISITS` by `solve_decomposed`, where the
instance says where its places lie."""

from collections import defaultdict
from importlib.metadata import version

import optimizer
from benchmarks.field_service import Geographic
from benchmarks.instance import Client, Instance, Rights, Route, Routes, VehicleType
from benchmarks.peers import Peer, Solve, Task, Tell
from optimizer import Plan, Problem, Shift, TimeWindow, TravelMatrix, Visit, Weights
from optimizer.decomposition import solve_decomposed
from optimizer.plan import Progress
from optimizer.travel import Place, PlacesTravel

ONE_CENT_PER_SECOND = Weights(travel_cents_per_h=3_600)
ONE_CENT_PER_METRE = Weights(travel_cents_per_h=0, travel_cents_per_km=1_000)

LONGEST_LEGS_OF_A_PRIZE = 10
"""The prize of a client that must be served, in longest legs. Two take an idle vehicle there and back; the rest is for
making room where none is idle."""
LARGEST_SUM_OF_PRIZES = 10**11
"""Cents, so that a cost in ticks stays within 64 bits."""

WHOLE_VISITS = 2_000
"""More are planned a territory at a time, without a matrix of the whole."""


def prepare(instance: Instance, task: Task) -> Solve:
    """Every vehicle becomes a shift, costs count in cents: one for each unit of travel."""
    optimizer.warm()
    if isinstance(instance.travel, Geographic) and len(instance.clients) > WHOLE_VISITS:
        return _prepare_decomposed(instance, instance.travel, task)
    problem = problem_of(instance)

    def solve(tell: Tell) -> Routes:
        def on_progress(progress: Progress) -> None:
            if instance.optional or not progress.unserved:
                tell(progress.cost_cents, progress.unserved)

        plan = optimizer.solve(
            problem,
            time_limit_s=task.limit_s,
            seed=task.seed,
            threads=task.threads,
            engine="search",
            on_progress=on_progress,
        )
        return routes_of(instance, plan)

    return solve


def _prepare_decomposed(instance: Instance, travel: Geographic, task: Task) -> Solve:
    corners = [
        Place(end(p.lat for p in travel.points), end(p.lon for p in travel.points)) for end in (min, max)
    ]
    longest_leg = int(travel.provider.matrix(corners).duration_s.max())
    visits, shifts, weights = _stated(instance, longest_leg)
    problem = Problem(visits, shifts, PlacesTravel(travel.points, travel.provider), weights)

    def solve(tell: Tell) -> Routes:
        plan = solve_decomposed(
            problem,
            time_limit_s=task.limit_s,
            seed=task.seed,
            threads=task.threads,
            on_progress=lambda progress: tell(progress.cost_cents, progress.unserved),
        )
        return routes_of(instance, plan)

    return solve


def problem_of(instance: Instance) -> Problem:
    """Visits are named by the client's number, shifts by `type.copy`."""
    visits, shifts, weights = _stated(instance, int(instance.matrix.max(initial=0)))
    return Problem(visits, shifts, TravelMatrix(instance.matrix, instance.matrix), weights)


def _stated(instance: Instance, longest_leg: int) -> tuple[tuple[Visit, ...], tuple[Shift, ...], Weights]:
    """All of the problem but its travel."""
    rights = instance.rights()
    skills_of_client, skills_of_type = _skills(instance, rights)
    prizes = _prizes(instance, longest_leg)
    loads = any(kind.capacity is not None for kind in instance.vehicle_types)
    visits = tuple(
        _visit(number, client, skills_of_client[rights.class_of_client[number]], prizes[number], loads)
        for number, client in enumerate(instance.clients)
    )
    total_load = sum(client.load for client in instance.clients)
    shifts = tuple(
        _shift(f"{number}.{copy}", kind, skills_of_type[rights.class_of_type[number]], loads, total_load)
        for number, kind in enumerate(instance.vehicle_types)
        for copy in range(min(kind.count, len(instance.clients)))
    )
    weights = ONE_CENT_PER_SECOND if instance.unit == "s" else ONE_CENT_PER_METRE
    return visits, shifts, weights


def routes_of(instance: Instance, plan: Plan) -> Routes:
    return tuple(
        Route(int(route.shift.partition(".")[0]), tuple(int(stop.visit) for stop in route.stops))
        for route in plan.routes
    )


def _visit(number: int, client: Client, skills: dict[str, int], prize: int, loads: bool) -> Visit:
    return Visit(
        id=str(number),
        place=client.place,
        service_s=client.service,
        windows=(TimeWindow(*client.window),),
        skills=skills,
        prize_cents=prize,
        load=(client.load,) if loads else (),
    )


def _shift(name: str, kind: VehicleType, skills: dict[str, int], loads: bool, total_load: int) -> Shift:
    return Shift(
        id=name,
        technician=name,
        window=TimeWindow(*kind.window),
        start_place=kind.depot,
        end_place=kind.depot,
        skills=skills,
        max_duration_s=kind.longest,
        capacity=(total_load if kind.capacity is None else kind.capacity,) if loads else (),
    )


def _skills(instance: Instance, rights: Rights) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """By class of clients what they require, by class of types what they have. Where clients are listed, each pattern
    of who may becomes one skill; otherwise the instance's own skills and levels stand."""
    of_clients: dict[int, dict[str, int]] = defaultdict(dict)
    of_types: dict[int, dict[str, int]] = defaultdict(dict)
    if all(kind.clients is None for kind in instance.vehicle_types):
        for number, client in enumerate(instance.clients):
            of_clients[rights.class_of_client[number]] = dict(client.skills)
        for number, kind in enumerate(instance.vehicle_types):
            of_types[rights.class_of_type[number]] = dict(kind.skills)
    else:
        for pattern in range(rights.allowed.shape[1]):
            if rights.allowed[:, pattern].all():
                continue
            of_clients[pattern] = {f"pattern {pattern}": 1}
            for holder in rights.allowed[:, pattern].nonzero()[0].tolist():
                of_types[holder][f"pattern {pattern}"] = 1
    holders, patterns = rights.allowed.shape
    return [of_clients[pattern] for pattern in range(patterns)], [
        of_types[holder] for holder in range(holders)
    ]


def _prizes(instance: Instance, longest_leg: int) -> list[int]:
    """Cents by client."""
    must = sum(client.prize is None for client in instance.clients)
    if not must:
        return [client.prize or 0 for client in instance.clients]
    optional = sum(client.prize or 0 for client in instance.clients)
    compelling = optional + LONGEST_LEGS_OF_A_PRIZE * longest_leg
    compelling = min(compelling, (LARGEST_SUM_OF_PRIZES - optional) // must)
    return [compelling if client.prize is None else client.prize for client in instance.clients]


PEER = Peer(
    "search", version("freelance-dispatch"), threaded=True, seeded=True, prepare=prepare, warm=optimizer.warm
)
