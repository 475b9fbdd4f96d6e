"""One run of one engine, in a process of its own: `python -m benchmarks.child TASK EVENTS`, or with an engine's name
alone to compile it.

TASK is a JSON file that `runner` wrote; every event goes to EVENTS as a line of JSON at once, so that what was told
before a crash or a kill stays known.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.instance import NoRoom
from benchmarks.peers import CannotModel, NoPlan, Task, load
from benchmarks.source import Source, from_json


class Events:
    """Lines of JSON, each with its kind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)

    def write(self, kind: str, **members: Any) -> None:
        self._file.write(json.dumps({"kind": kind} | members) + "\n")


def peak_mb() -> float:
    """Largest resident memory of this process so far, with that of its largest ended child on top. On Linux from /proc:
    `getrusage` there begins with what the parent had when it started this process."""
    status = Path("/proc/self/status")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if not status.exists():
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children) / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return (int(line.split()[1]) + children) / 1024


def run(source: Source, engine: str, task: Task, events: Events) -> None:
    """Reads, builds, solves. The clock of points and of `took_s` starts with the call to the engine."""
    peer = load(engine)
    instance = source.instance()
    with suppress(NoRoom):  # an engine that needs no matrix may go on; the others run into it again
        _ = instance.matrix
    events.write("ready", base_mb=peak_mb())
    before = time.perf_counter()
    try:
        solve = peer.prepare(instance, task)
    except (CannotModel, NoRoom) as cannot:
        events.write("cannot", reason=str(cannot))
        return
    began = time.perf_counter()
    events.write("built", build_s=began - before)

    best: list[int] = []

    def tell(cost: int, unserved: int) -> None:
        if best and cost >= best[-1]:
            return
        best.append(cost)
        events.write("point", elapsed_s=time.perf_counter() - began, cost=int(cost), unserved=int(unserved))

    try:
        routes = solve(tell)
    except NoPlan as none:
        events.write("none", took_s=time.perf_counter() - began, reason=str(none))
        return
    took_s = time.perf_counter() - began
    events.write("memory", peak_mb=peak_mb())
    events.write("routes", took_s=took_s, routes=[[route.vehicle_type, *route.clients] for route in routes])


def main() -> None:
    if len(sys.argv) == 2:
        warm = load(sys.argv[1]).warm
        assert warm is not None
        warm()
        return
    order = json.loads(Path(sys.argv[1]).read_text())
    run(from_json(order["source"]), order["engine"], Task(**order["task"]), Events(Path(sys.argv[2])))


if __name__ == "__main__":
    main()
