"""When the steps of a given route begin: as early as they can, and where not all windows can be kept, so that the
seconds early and late add up to the least, as in VROOM's plan mode, and rather late than early."""

from collections.abc import Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from optimizer.problem import MAX_INSTANT, TimeWindow
from optimizer.vroom.values import InputError

ALWAYS = TimeWindow(-MAX_INSTANT, MAX_INSTANT)
DETERMINISTIC_LIMIT = 0.5
"""CP-SAT's own unit, seconds or so; a route of 100 jobs takes a hundredth of it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which instants a person decided that a step begins; None where nobody did."""

    not_before: int | None = None
    not_after: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A job or break to be timed. drive_s: the way from the job before, 0 for a break: it is driven before, between or
    after the breaks. windows: when it may begin, sorted; empty for always."""

    windows: tuple[TimeWindow, ...]
    drive_s: int
    action_s: int
    is_break: bool
    bounds: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Duty:
    """A route to be timed. hours: the vehicle's, None if it has none; it then leaves at `opens` or later. home_s: the
    way to the end."""

    vehicle: str
    opens: int
    hours: TimeWindow | None
    tasks: tuple[Task, ...]
    home_s: int
    leaving: Bounds = Bounds()
    returning: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Times:
    departs_at: int
    begins: tuple[int, ...]
    ends_at: int


def choose_times(duty: Duty) -> Times:
    """The times of the route. Every step begins as early as it can and the vehicle leaves as late as that allows; if
    windows cannot all be kept, the sum of the seconds early and late is least first, then that of those early. Raises
    `InputError` where bounds that a person set cannot be kept."""
    times = _earliest(duty) or _LeastViolation(duty).times()
    if times.ends_at > MAX_INSTANT:
        raise InputError(f"vehicle {duty.vehicle}.steps last too long to be timed")
    return times


def seconds_off(windows: Sequence[TimeWindow], instant: int) -> int:
    """How far an instant lies from the nearest window: below 0 if it is too early, above if too late."""
    off = [min(0, instant - window.start) or max(0, instant - window.end) for window in windows]
    return min(off, key=lambda seconds: (abs(seconds), -seconds), default=0)


def _earliest(duty: Duty) -> Times | None:
    """Step after step as early as it can be; None if that is too late for any window or bound."""
    leaves = max(duty.hours.start if duty.hours else duty.opens, duty.leaving.not_before or 0)
    free, ready = leaves, leaves  # the work before is over; so are the breaks since
    breaks_s, begins = 0, []
    for task in duty.tasks:
        reached = ready if task.is_break else max(ready, free + task.drive_s + breaks_s)
        at = _first_in(task.windows, max(reached, task.bounds.not_before or 0))
        if at is None or _after(at, task.bounds):
            return None
        begins.append(at)
        ready = at + task.action_s
        if task.is_break:
            breaks_s += task.action_s
        else:
            free, breaks_s = ready, 0
    ends_at = max(ready, free + duty.home_s + breaks_s, duty.returning.not_before or 0)
    if (
        _after(ends_at, duty.returning)
        or (duty.hours and ends_at > duty.hours.end)
        or _after(leaves, duty.leaving)
    ):
        return None
    return Times(_latest_departure(duty, begins, ends_at), tuple(begins), ends_at)


def _latest_departure(duty: Duty, begins: Sequence[int], ends_at: int) -> int:
    limits = [] if duty.leaving.not_after is None else [duty.leaving.not_after]
    breaks_s = 0
    for task, at in zip(duty.tasks, begins, strict=True):
        limits.append(at - task.drive_s - breaks_s)
        if not task.is_break:
            return min(limits)
        limits[-1] = at
        breaks_s += task.action_s
    return min([*limits, ends_at - duty.home_s - breaks_s])


def _first_in(windows: Sequence[TimeWindow], instant: int) -> int | None:
    if not windows:
        return instant
    return next((max(instant, window.start) for window in windows if instant <= window.end), None)


def _after(instant: int, bounds: Bounds) -> bool:
    return bounds.not_after is not None and instant > bounds.not_after


class _LeastViolation:
    """The same route as a CP-SAT model: an instant for each step, what windows miss it by as the objective."""

    def __init__(self, duty: Duty) -> None:
        self.duty = duty
        self.model = cp_model.CpModel()
        self.first, self.last = _span(duty)
        self.early: list[cp_model.IntVar] = []
        self.off: list[cp_model.IntVar] = []
        self.leaves = self._instant(duty.leaving)
        self.begins = [self._instant(task.bounds) for task in duty.tasks]
        self.ends = self._instant(duty.returning)
        self._follow_each_other()
        for task, begin in zip(duty.tasks, self.begins, strict=True):
            self._keep(task.windows, begin)
        if duty.hours is not None:
            early, off = self._missed()
            self.model.add(early >= duty.hours.start - self.leaves)
            self.model.add(off >= early)
            _, late = self._missed()
            self.model.add(late >= self.ends - duty.hours.end)

    def times(self) -> Times:
        """Least violation first, then least of it too early, then everything as early as can be."""
        for missed in (sum(self.off), sum(self.early)):
            self.model.minimize(missed)
            self.model.add(missed <= round(self._solved().objective_value))
        self.model.minimize(2 * (sum(self.begins) + self.ends) - self.leaves)
        solved = self._solved()
        begins = tuple(solved.value(begin) for begin in self.begins)
        return Times(solved.value(self.leaves), begins, solved.value(self.ends))

    def _solved(self) -> cp_model.CpSolver:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        solver.parameters.max_deterministic_time = DETERMINISTIC_LIMIT
        if solver.solve(self.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise InputError(
                f"vehicle {self.duty.vehicle}.steps cannot be driven with service_at, service_after and service_before"
            )
        return solver

    def _instant(self, bounds: Bounds) -> cp_model.IntVar:
        least = self.first if bounds.not_before is None else bounds.not_before
        most = self.last if bounds.not_after is None else bounds.not_after
        return self.model.new_int_var(least, most, "")

    def _missed(self) -> tuple[cp_model.IntVar, cp_model.IntVar]:
        """Seconds early, and seconds early or late, at one step."""
        for seconds in (self.early, self.off):
            seconds.append(self.model.new_int_var(0, 4 * MAX_INSTANT, ""))
        return self.early[-1], self.off[-1]

    def _follow_each_other(self) -> None:
        free: cp_model.LinearExprT = self.leaves
        ready: cp_model.LinearExprT = self.leaves
        breaks_s = 0
        for task, begin in zip(self.duty.tasks, self.begins, strict=True):
            self.model.add(begin >= ready)
            ready = begin + task.action_s
            if task.is_break:
                breaks_s += task.action_s
            else:
                self.model.add(begin >= free + task.drive_s + breaks_s)
                free, breaks_s = ready, 0
        self.model.add(self.ends >= ready)
        self.model.add(self.ends >= free + self.duty.home_s + breaks_s)

    def _keep(self, windows: Sequence[TimeWindow], begin: cp_model.IntVar) -> None:
        if not windows:
            return
        early, off = self._missed()
        self.model.add(off >= early)
        chosen = [self.model.new_bool_var("") for _ in windows] if len(windows) > 1 else []
        for index, window in enumerate(windows):
            for missed in (early >= window.start - begin, off >= begin - window.end):
                kept = self.model.add(missed)
                if chosen:
                    kept.only_enforce_if(chosen[index])
        if chosen:
            self.model.add_exactly_one(chosen)


def _span(duty: Duty) -> tuple[int, int]:
    """Instants before and after which no step needs to be."""
    bounds = [duty.leaving, duty.returning, *(task.bounds for task in duty.tasks)]
    named = [instant for b in bounds for instant in (b.not_before, b.not_after) if instant is not None]
    windows = [window for task in duty.tasks for window in task.windows]
    windows += [duty.hours] if duty.hours is not None else [TimeWindow(duty.opens, duty.opens)]
    named += [instant for window in windows for instant in (window.start, window.end)]
    busy_s = sum(task.drive_s + task.action_s for task in duty.tasks) + duty.home_s
    return max(0, min(named) - busy_s), max(named) + busy_s
