"""Runs an engine on an instance in a child process, ends it if it does not end itself, and judges what it gave."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.evaluator import evaluate
from benchmarks.instance import Instance, Route, Routes
from benchmarks.peers import Task
from benchmarks.source import Source, as_json

ROOT = Path(__file__).parent.parent

POLL_S = 0.02
STANDING_GRACE_S = 60.0
GRACE_S_OF_A_CLIENT = 0.03
"""What an engine may take beyond its limit before it is killed: for starting, for the matrix and its own input, and for
a first plan that it does not interrupt."""

LONGEST_WARMING_S = 900.0

Status = Literal["ok", "infeasible", "no plan", "cannot model", "killed", "failed"]


@dataclass(frozen=True, slots=True)
class Point:
    """A better plan, told while the engine ran."""

    elapsed_s: float
    cost: int
    unserved: int


@dataclass(frozen=True, slots=True)
class Row:
    """One run. cost: as the evaluator has it, None unless `ok`. build_s: turning the instance into the engine's input;
    took_s: the engine's call; first_s: when it had its first plan, as far as it tells. peak_mb: of the child's resident
    memory, of which base_mb was there with the instance, before the engine got it; cpu_s: the child's processor time,
    start and matrix included. reason: why there is no cost."""

    set: str
    instance: str
    clients: int
    unit: str
    engine: str
    threads: int
    seed: int | None
    limit_s: float
    status: Status
    cost: int | None
    unserved: int | None
    vehicles: int | None
    best_known: int | None
    best_known_source: str
    build_s: float | None
    took_s: float | None
    first_s: float | None
    base_mb: float | None
    peak_mb: float
    cpu_s: float
    reason: str
    points: tuple[Point, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.set}/{self.instance}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. code: None if it was killed here. peak_mb: an upper bound, for a child that could not tell."""

    code: int | None
    peak_mb: float
    cpu_s: float
    events: tuple[dict[str, Any], ...]
    complaint: str


def grace_s(instance: Instance) -> float:
    """Seconds beyond the limit until an engine is killed."""
    return STANDING_GRACE_S + GRACE_S_OF_A_CLIENT * len(instance.clients)


def warm(engine: str) -> None:
    """Compiles an engine, in a child too, so that no run pays for it. Raises `subprocess.SubprocessError` if it
    fails."""
    command = [sys.executable, "-m", "benchmarks.child", engine]
    subprocess.run(command, cwd=ROOT, check=True, timeout=LONGEST_WARMING_S)


def run(
    source: Source,
    instance: Instance,
    engine: str,
    task: Task,
    *,
    seeded: bool = True,
    grace: float | None = None,
) -> Row:
    """instance: that of `source`, to judge by. grace: seconds beyond the limit until the child is killed."""
    order = {"source": as_json(source), "engine": engine, "task": asdict(task)}
    allowed_s = task.limit_s + (grace_s(instance) if grace is None else grace)
    return _row(instance, engine, task, seeded, _in_child(order, allowed_s), allowed_s)


def _in_child(order: Mapping[str, Any], allowed_s: float) -> Ended:
    with tempfile.TemporaryDirectory() as folder:
        task, events, complaint = (Path(folder) / name for name in ("task.json", "events.jsonl", "stderr"))
        task.write_text(json.dumps(order))
        command = [sys.executable, "-m", "benchmarks.child", str(task), str(events)]
        with complaint.open("w") as stderr:
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
            code, usage = _wait(child, allowed_s)
        lines = events.read_text().splitlines(keepends=True) if events.exists() else []
        told = tuple(json.loads(line) for line in lines if line.endswith("\n"))
        return Ended(
            code,
            usage.ru_maxrss / 1024,
            usage.ru_utime + usage.ru_stime,
            told,
            complaint.read_text(errors="replace"),
        )


def _wait(child: subprocess.Popen[bytes], allowed_s: float) -> tuple[int | None, Any]:
    """The exit code, None after a kill, and what the child used (`os.wait4`: its own children count as they end)."""
    deadline = time.monotonic() + allowed_s
    killed = False
    while not _has_ended(child.pid):
        if not killed and time.monotonic() > deadline:
            killed = True
            _kill_group(child.pid)
        time.sleep(POLL_S)
    _kill_group(child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return (None if killed else child.returncode), usage


def _has_ended(pid: int) -> bool:
    """Without reaping it, so that its id and its group stay its own until `os.wait4`."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(leader: int) -> None:
    """The session that the child began: itself and what it started."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _row(instance: Instance, engine: str, task: Task, seeded: bool, ended: Ended, allowed_s: float) -> Row:
    told = {event["kind"]: event for event in ended.events}
    points = tuple(
        Point(event["elapsed_s"], event["cost"], event["unserved"])
        for event in ended.events
        if event["kind"] == "point"
    )
    status, reason = _outcome(ended, told, allowed_s)
    cost = unserved = vehicles = None
    if status == "ok":
        evaluation = evaluate(instance, _routes(told["routes"]["routes"]))
        unserved, vehicles = evaluation.unserved, evaluation.vehicles
        if evaluation.feasible:
            cost = evaluation.cost
        else:
            status, reason = "infeasible", "; ".join(evaluation.broken[:3])
    took_s = told.get("routes", told.get("none", {})).get("took_s")
    return Row(
        set=instance.set,
        instance=instance.name,
        clients=len(instance.clients),
        unit=instance.unit,
        engine=engine,
        threads=task.threads,
        seed=task.seed if seeded else None,
        limit_s=task.limit_s,
        status=status,
        cost=cost,
        unserved=unserved,
        vehicles=vehicles,
        best_known=instance.best_known,
        best_known_source=instance.best_known_source,
        build_s=told.get("built", {}).get("build_s"),
        took_s=took_s,
        first_s=points[0].elapsed_s if points else (took_s if status == "ok" else None),
        base_mb=told.get("ready", {}).get("base_mb"),
        peak_mb=told.get("memory", {}).get("peak_mb", ended.peak_mb),
        cpu_s=ended.cpu_s,
        reason=reason,
        points=points,
    )


def _outcome(ended: Ended, told: Mapping[str, Any], allowed_s: float) -> tuple[Status, str]:
    if "routes" in told:
        return "ok", ""
    if ended.code is None:
        return "killed", f"killed after {allowed_s:g} s"
    if "cannot" in told:
        return "cannot model", told["cannot"]["reason"]
    if "none" in told:
        return "no plan", told["none"]["reason"]
    last = [line for line in ended.complaint.splitlines() if line.strip()][-1:]
    return "failed", f"exit code {ended.code}: {' '.join(last) or 'no message'}"


def _routes(lists: list[list[int]]) -> Routes:
    return tuple(Route(kind, tuple(clients)) for kind, *clients in lists)
