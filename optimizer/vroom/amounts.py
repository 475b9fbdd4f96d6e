"""What jobs deliver and pick up, and what vehicles can carry.

VROOM's load varies along the route: what is delivered is on board from the start, what is picked up until the end. A
kind of goods that is only delivered, or only picked up, fills the vehicle as the sum over its jobs, wherever they are
in the route: that is `Visit.load`. Of a kind that is both, the sums say too much; it is planned only where nothing
could exceed any capacity, and refused otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.problem import MAX_LOAD
from optimizer.vroom.values import MAX_KINDS, InputError, JsonObject, array_in, breaks_of, integer_in, sum_of

Quantities = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Quantities by job and by vehicle, as many as there are kinds of goods. max_load: by vehicle and break."""

    kinds: int
    deliveries: Mapping[str, Quantities]
    pickups: Mapping[str, Quantities]
    capacities: Mapping[str, Quantities]
    max_loads: Mapping[tuple[str, str], Quantities]

    def planned_loads(self) -> tuple[Mapping[str, Quantities], Mapping[str, Quantities]]:
        """`Visit.load` by job and `Shift.capacity` by vehicle, of the kinds that can bind. Raises `InputError` where
        that cannot be told by sums, or where a break limits the load."""
        self._refuse_max_load()
        binding = [kind for kind in range(self.kinds) if self._binds(kind)]
        for kind in binding:
            if _any(self.deliveries, kind) and _any(self.pickups, kind):
                raise InputError(
                    f"jobs deliver and pick up goods of kind {kind}, more than a vehicle could carry at once: such a "
                    "mixture is not served; plan it as two kinds, or with deliveries or pickups alone"
                )
        loads = {
            name: tuple(delivery[kind] + self.pickups[name][kind] for kind in binding)
            for name, delivery in self.deliveries.items()
        }
        rooms = {name: tuple(room[kind] for kind in binding) for name, room in self.capacities.items()}
        return loads, rooms

    def _binds(self, kind: int) -> bool:
        """Whether all goods of this kind together are too much for some vehicle."""
        total = sum(
            quantities[kind] for side in (self.deliveries, self.pickups) for quantities in side.values()
        )
        return total > min(room[kind] for room in self.capacities.values())

    def _refuse_max_load(self) -> None:
        total = self.total(self.deliveries), self.total(self.pickups)
        for (vehicle, pause), most in self.max_loads.items():
            if any(sum(sides) > room for *sides, room in zip(*total, most, strict=True)):
                raise InputError(
                    f"vehicle {vehicle}, break {pause}.max_load: a limit on the load at a break is not served"
                )

    def load_after(self, load: Quantities, job: str) -> Quantities:
        """What is on board after a job."""
        sides = zip(load, self.deliveries[job], self.pickups[job], strict=True)
        return tuple(before - delivered + picked for before, delivered, picked in sides)

    def total(self, side: Mapping[str, Quantities], jobs: Sequence[str] | None = None) -> Quantities:
        """Quantities of these jobs, or of all, added up."""
        return sum_of([side[name] for name in (side if jobs is None else jobs)], self.kinds)


def amounts_of(jobs: Mapping[str, JsonObject], vehicles: Mapping[str, JsonObject]) -> Amounts:
    """Reads all amounts. As in VROOM the first vehicle says how many kinds there are, and the others have a capacity
    for as many. `amount`, VROOM's older key, is what is delivered, unless one of the newer
    keys is there."""
    kinds = len(array_in(next(iter(vehicles.values())).get("capacity", []), "capacity", MAX_KINDS))
    deliveries = {}
    for name, job in jobs.items():
        older = "amount" in job and "delivery" not in job and "pickup" not in job
        deliveries[name] = _quantities(job, "amount" if older else "delivery", kinds, f"job {name}")
    return Amounts(
        kinds=kinds,
        deliveries=deliveries,
        pickups={name: _quantities(job, "pickup", kinds, f"job {name}") for name, job in jobs.items()},
        capacities={
            name: _quantities(vehicle, "capacity", kinds, f"vehicle {name}")
            for name, vehicle in vehicles.items()
        },
        max_loads={
            (name, pause): _quantities(owner, "max_load", kinds, f"vehicle {name}, break {pause}")
            for name, vehicle in vehicles.items()
            for pause, owner in breaks_of(vehicle, f"vehicle {name}").items()
            if "max_load" in owner
        },
    )


def _any(side: Mapping[str, Quantities], kind: int) -> bool:
    return any(quantities[kind] for quantities in side.values())


def _quantities(owner: JsonObject, key: str, kinds: int, where: str) -> Quantities:
    if key not in owner and key != "capacity":
        return (0,) * kinds
    listed = array_in(owner.get(key, []), f"{where}.{key}")
    if len(listed) != kinds:
        raise InputError(
            f"{where}.{key} has {len(listed)} quantities, the first vehicle's capacity {kinds}; all must have as many"
        )
    return tuple(integer_in(quantity, f"{where}.{key}", 0, MAX_LOAD) for quantity in listed)
