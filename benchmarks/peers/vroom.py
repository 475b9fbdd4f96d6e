"""VROOM through pyvroom, at exploration level 5, its highest. It tells nothing before its end and knows no seed."""

from datetime import timedelta
from importlib.metadata import version

import vroom
from vroom.solution.solution import Solution

from benchmarks.instance import Instance, Rights, Route, Routes
from benchmarks.peers import CannotModel, Peer, Solve, Task, Tell

EXPLORATION_LEVEL = 5

LARGEST_PRIORITY = 100
"""VROOM's scale of priorities is 0 to 100, see its API page."""


def prepare(instance: Instance, task: Task) -> Solve:
    """A prize can only be told as a priority: VROOM serves the highest sum of priorities, then cuts the cost. That is
    near enough where leaving out hardly ever pays (field service), and not where it does (prize-collecting)."""
    _require_rules_known(instance)
    problem, vehicles = input_of(instance)

    def solve(tell: Tell) -> Routes:
        solution = problem.solve(
            exploration_level=EXPLORATION_LEVEL,
            nb_threads=task.threads,
            timeout=timedelta(seconds=task.limit_s),
        )
        return routes_of(solution, vehicles)

    return solve


def _require_rules_known(instance: Instance) -> None:
    if any(kind.longest is not None for kind in instance.vehicle_types):
        raise CannotModel("it has no cap on a route's duration")
    if instance.optional and not _prizes_as_priorities(instance):
        raise CannotModel("it has no prizes, and these are not to be told as priorities")


def _prizes_as_priorities(instance: Instance) -> dict[int, int] | None:
    """Priorities in proportion to the prizes; None where a client must be served, where a prize is below the longest
    leg, so that leaving out pays now and then, or where 100 steps are too coarse."""
    prizes = {client.prize for client in instance.clients}
    if None in prizes:
        return None
    known = sorted(prize for prize in prizes if prize is not None)
    if known[0] < int(instance.matrix.max()):
        return None
    step = known[0]
    if any(prize % step for prize in known) or known[-1] // step > LARGEST_PRIORITY:
        return None
    return {prize: prize // step for prize in known}


def input_of(instance: Instance) -> tuple[vroom.Input, list[int]]:
    """VROOM's input, and the type of each of its vehicles."""
    rights = instance.rights()
    priorities = _prizes_as_priorities(instance) or {}
    needed, held = _skills(instance, rights)
    problem = vroom.Input()
    problem.set_durations_matrix("car", instance.matrix)
    loads = any(kind.capacity is not None for kind in instance.vehicle_types)
    total_load = sum(client.load for client in instance.clients)
    vehicles: list[int] = []
    for number, kind in enumerate(instance.vehicle_types):
        capacity = total_load if kind.capacity is None else kind.capacity
        for _ in range(min(kind.count, len(instance.clients))):
            problem.add_vehicle(
                vroom.Vehicle(
                    len(vehicles),
                    start=kind.depot,
                    end=kind.depot,
                    capacity=[capacity] if loads else [],
                    skills=held[rights.class_of_type[number]],
                    time_window=kind.window,
                )
            )
            vehicles.append(number)
    for number, client in enumerate(instance.clients):
        problem.add_job(
            vroom.Job(
                number,
                location=client.place,
                default_service=client.service,
                delivery=[client.load] if loads else [],
                skills=needed[rights.class_of_client[number]],
                priority=0 if client.prize is None else priorities[client.prize],
                time_windows=[vroom.TimeWindow(*client.window)],
            )
        )
    return problem, vehicles


def routes_of(solution: Solution, vehicles: list[int]) -> Routes:
    steps = solution.routes
    jobs = steps[steps["type"] == "job"]
    return tuple(
        Route(vehicles[int(vehicle)], tuple(int(job) for job in visited["id"]))
        for vehicle, visited in jobs.groupby("vehicle_id", sort=False)
    )


def _skills(instance: Instance, rights: Rights) -> tuple[list[set[int]], list[set[int]]]:
    """VROOM's skills have no levels: each pair of skill and level is a number, held by all who reach that level. Where
    clients are listed, each pattern of who may is one."""
    holders, patterns = rights.allowed.shape
    needed: list[set[int]] = [set() for _ in range(patterns)]
    held: list[set[int]] = [set() for _ in range(holders)]
    if any(kind.clients is not None for kind in instance.vehicle_types):
        for pattern in range(patterns):
            if not rights.allowed[:, pattern].all():
                needed[pattern].add(pattern)
                for holder in rights.allowed[:, pattern].nonzero()[0].tolist():
                    held[holder].add(pattern)
        return needed, held
    pairs = sorted({pair for client in instance.clients for pair in client.skills.items()})
    number_of = {pair: number for number, pair in enumerate(pairs)}
    for number, client in enumerate(instance.clients):
        needed[rights.class_of_client[number]] = {number_of[pair] for pair in client.skills.items()}
    for number, kind in enumerate(instance.vehicle_types):
        held[rights.class_of_type[number]] = {
            number_of[skill, level] for skill, level in pairs if kind.skills.get(skill, 0) >= level
        }
    return needed, held


PEER = Peer("vroom", version("pyvroom"), threaded=True, seeded=False, prepare=prepare)
