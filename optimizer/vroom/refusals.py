"""What is not served is refused by name, and what looks misspelt with what may be meant. Other keys that VROOM does not
know either are ignored, as VROOM ignores them."""

import difflib
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

from optimizer.vroom.values import InputError, JsonObject, breaks_of, object_in, text_in

Keys = frozenset[str]

LOOKED_AT = 20
"""Unknown keys of one object in which a misspelt one is looked for."""

_DOCUMENT_KEYS = frozenset({"jobs", "vehicles", "matrix", "matrices", "options", "shipments"})
_JOB_KEYS = frozenset({
    "id", "description", "location", "location_index", "setup", "service", "setup_per_type", "service_per_type",
    "skills", "priority", "time_windows", "amount", "delivery", "pickup",
})  # fmt: skip
_VEHICLE_KEYS = frozenset({
    "id", "description", "profile", "type", "start", "start_index", "end", "end_index", "skills", "time_window",
    "breaks", "costs", "max_tasks", "max_distance", "max_travel_time", "capacity", "speed_factor", "steps",
})  # fmt: skip
_BREAK_KEYS = frozenset({"id", "description", "service", "time_windows", "max_load"})


def refuse_document_keys(document: JsonObject) -> None:
    refuse_misspelt(document, _DOCUMENT_KEYS, "the document")
    if document.get("shipments"):
        raise InputError("shipments are not served; plan pickups and deliveries as jobs of their own")


def refuse_job_keys(jobs: Mapping[str, JsonObject]) -> None:
    for name, job in jobs.items():
        _refuse_keys(job, _JOB_KEYS, f"job {name}")


def refuse_vehicle_keys(vehicles: Mapping[str, JsonObject]) -> None:
    for name, vehicle in vehicles.items():
        where = f"vehicle {name}"
        _refuse_keys(vehicle, _VEHICLE_KEYS, where)
        for pause in breaks_of(vehicle, where).values():
            _refuse_keys(pause, _BREAK_KEYS, f"{where}, break {pause['id']}")


def refuse_misspelt(owner: JsonObject, served: Keys, where: str) -> None:
    """Raises `InputError` for a key that looks like a served one."""
    for key in islice(owner.keys() - served, LOOKED_AT):
        meant = _close_to(key[:100], served)
        if meant is not None:
            raise InputError(f"{where} has an unknown key {key!r}; is {meant!r} meant?")


@lru_cache(maxsize=4096)
def _close_to(key: str, served: Keys) -> str | None:
    return next(iter(difflib.get_close_matches(key.lower(), served, n=1, cutoff=0.8)), None)


def options_of(document: JsonObject) -> JsonObject:
    """The options of vroom-express."""
    value = document.get("options")
    return object_in({} if value is None else value, "options")


def _refuse_keys(owner: JsonObject, served: Keys, where: str) -> None:
    refuse_misspelt(owner, served, where)
    text_in(owner.get("description", ""), f"{where}.description")
