"""Small instances whose best plan is known by hand: places on a line, ten units from one to the next."""

from benchmarks.instance import Client, Euclidean, Instance, VehicleType

DAY = (0, 1_000)


def line(count: int) -> Euclidean:
    """Place k lies at 10 k."""
    return Euclidean(tuple((10.0 * place, 0.0) for place in range(count)), 1, "rounded")


def instance_of(
    clients: tuple[Client, ...], vehicle_types: tuple[VehicleType, ...], best_known: int | None = None
) -> Instance:
    places = 1 + max(*(client.place for client in clients), *(kind.depot for kind in vehicle_types))
    return Instance("small", "line", "1", line(places), clients, vehicle_types, best_known, "by hand")
