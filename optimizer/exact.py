"""`solve_exact`: for a small day, the best plan there is, and the proof that there is no better.

One CP-SAT model holds every rule and every term at once: a circuit for each shift through the visits that it
serves (OR-Tools' `AddCircuit`, unserved visits as loops), an instant for each thing that happens, and the very sum
of `objective` in ticks, none of it rounded. It shares with the search who may do what, and nothing that tells times,
routes or costs: tests hold the one against the other.

All rules about time are gaps: this happens so many seconds after that, if these literals are true. Once the model
has chosen who does what in which order, and where the breaks are, those gaps alone give the earliest times.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ortools.sat.python import cp_model

from optimizer.arrays import (
    TICKS_PER_CENT,
    TICKS_PER_M_AND_CENT_PER_KM,
    TICKS_PER_S_AND_CENT_PER_H,
)
from optimizer.eligibility import Fleet, eligibility, scarcity
from optimizer.objective import PERMILLE, TERMS, objective, technician_by_visit
from optimizer.plan import BreakTaken, Plan, Route, Stop
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, Shift, TimeWindow, Visit
from optimizer.unserved import explain_unserved

MAX_VISITS = 12
MAX_SHIFTS = 12
"""Beyond these a proof takes too long to wait for."""

DETERMINISTIC_TIME = 60.0
"""CP-SAT's limit in its own unit of work, about a second, where the answer must not depend on the clock."""

MAX_SUM = 2**61
"""Bound of every sum in the model; CP-SAT counts in 64 bits."""

Variable = Any
"""An integer or Boolean variable, or a negated Boolean: OR-Tools has no types."""


@dataclass(frozen=True, slots=True)
class Exact:
    """proven: no sound plan leaves out fewer pinned visits, and none that leaves out as many costs less.
    bound_cents: what these cost at least, rounded down; the plan's own cost if proven."""

    plan: Plan
    proven: bool
    bound_cents: int


def solve_exact(
    problem: Problem,
    *,
    time_limit_s: float | None = None,
    max_deterministic_time: float = DETERMINISTIC_TIME,
    start: Plan | None = None,
    threads: int = 1,
) -> Exact:
    """The best plan, of at most `MAX_VISITS` visits and `MAX_SHIFTS` shifts; pinned visits are served first, as by
    `solve`.

    Bounded by max_deterministic_time (CP-SAT's own unit of work, about a second) and time_limit_s, whichever comes
    first; on one thread and without time_limit_s the answer is a function of the arguments. Where the bound comes
    before the proof, the plan is the best found. start: the plan from which moves are counted, and where CP-SAT
    begins. Raises `InvalidProblem` for days too large, or prices too high to add up.
    """
    began = time.monotonic()
    _check_size(problem, time_limit_s, max_deterministic_time, threads)
    model = Model(problem, technician_by_visit(start))
    if start is not None:
        model.hint(start)
    run = Run(model, threads, time_limit_s, max_deterministic_time)
    pins_proven = run.serve_the_pinned()
    proven, bound = run.minimise_the_cost()
    plan = Plan(() if run.solver is None else tuple(model.routes(run.solver)), (), engine="exact")
    plan = replace(
        plan,
        unserved=explain_unserved(problem, plan),
        objective=objective(problem, plan, start),
        elapsed_s=time.monotonic() - began,
    )
    ticks = sum(term(problem, plan, start) for term in TERMS)
    return Exact(plan, pins_proven and proven, (ticks if proven else min(ticks, bound)) // TICKS_PER_CENT)


def _check_size(
    problem: Problem, time_limit_s: float | None, max_deterministic_time: float, threads: int
) -> None:
    if len(problem.visits) > MAX_VISITS:
        raise InvalidProblem("visits", f"an exact plan takes at most {MAX_VISITS}, not {len(problem.visits)}")
    if len(problem.shifts) > MAX_SHIFTS:
        raise InvalidProblem("shifts", f"an exact plan takes at most {MAX_SHIFTS}, not {len(problem.shifts)}")
    if time_limit_s is not None and not 0 < time_limit_s < 1e7:
        raise InvalidProblem("time_limit_s", "must be above 0 seconds and below four months")
    if not 0 < max_deterministic_time < 1e7:
        raise InvalidProblem("max_deterministic_time", "must be above 0 and below 10000000")
    if not 1 <= threads <= 256:
        raise InvalidProblem("threads", "must be from 1 to 256")


@dataclass
class Run:
    """The model in CP-SAT's hands, twice: pinned visits first, then the cost. solver: holds the best answer; None
    before there is one."""

    model: "Model"
    threads: int
    left_s: float | None
    left_work: float
    solver: Any = None

    def serve_the_pinned(self) -> bool:
        """Serves as many pinned visits as can be, and sees to it that no later answer serves fewer. Returns whether
        that is proven."""
        cp, pinned = self.model.cp, self.model.pinned()
        if not pinned:
            return True
        cp.maximize(sum(pinned))
        proven, _ = self._solve()
        if self.solver is not None:
            cp.add(sum(pinned) >= sum(self.solver.boolean_value(served) for served in pinned))
            self.model.hint_answer(self.solver)
        return proven

    def minimise_the_cost(self) -> tuple[bool, int]:
        """Whether the best is proven, and the ticks that no answer is below."""
        unit = self.model.minimise()
        proven, bound = self._solve()
        return proven, math.floor(max(0.0, bound)) * unit

    def _solve(self) -> tuple[bool, float]:
        """Whether the answer is the best one, and CP-SAT's bound."""
        solver = cp_model.CpSolver()
        solver.parameters.linearization_level = 2
        solver.parameters.num_workers = self.threads
        solver.parameters.max_deterministic_time = max(1e-9, self.left_work)
        if self.left_s is not None:
            solver.parameters.max_time_in_seconds = max(1e-3, self.left_s)
        status = solver.solve(self.model.cp)
        self.left_work -= solver.response_proto.deterministic_time
        if self.left_s is not None:
            self.left_s -= solver.wall_time
        if status in (cp_model.MODEL_INVALID, cp_model.INFEASIBLE):
            raise InvalidProblem("problem", f"CP-SAT finds it {solver.status_name(status)}")
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            self.solver = solver
        return status == cp_model.OPTIMAL, float(solver.best_objective_bound)


@dataclass(frozen=True, slots=True)
class Gap:
    """`after` happens at least `seconds` after `before`, if all of these literals are true."""

    before: Variable
    after: Variable
    seconds: int
    only_if: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """Towards a visit or, `to` None, home: when one sets off and arrives."""

    to: int | None
    leaves: Variable
    arrives: Variable


@dataclass(frozen=True, slots=True)
class Tour:
    """A shift in the model. used: it serves something. arcs: by the visits (rows; None the start and end place) that
    they join. legs: towards each visit that it may serve, and home. begins, ends: all that is done lies between, breaks
    at home included. breaks: when each begins. here, there: by break, the leg before which it is taken, or at whose
    end."""

    row: int
    shift: Shift
    used: Variable
    arcs: Mapping[tuple[int | None, int | None], Variable]
    legs: Mapping[int | None, Leg]
    begins: Variable
    ends: Variable
    breaks: Sequence[Variable]
    here: Sequence[Mapping[int | None, Variable]]
    there: Sequence[Mapping[int | None, Variable]]


class Model:
    """The problem as CP-SAT takes it. Instants count from the start of the first shift."""

    def __init__(self, problem: Problem, planned: Mapping[str, str]) -> None:
        self.cp = cp_model.CpModel()
        self.problem = problem
        self.planned = planned
        self.gaps: list[Gap] = []
        self.terms: list[tuple[Variable, int, int]] = []
        self.zero = self.cp.new_constant(0)
        fleet = Fleet.of(problem.shifts, problem.travel, problem.visits)
        self.scarcity = scarcity(problem.visits, problem.shifts)
        self.origin = min((shift.window.start for shift in problem.shifts), default=0)
        self.horizon = max((shift.window.end + shift.overtime_s for shift in problem.shifts), default=0)
        self.horizon -= self.origin
        self.windows = [list(self._windows(visit)) for visit in problem.visits]
        allowed = eligibility(problem.visits, fleet)
        self.serves: list[dict[int, Variable]] = [
            {
                row: self.cp.new_bool_var("")
                for row in range(len(problem.shifts))
                if allowed[visit, row] and self.windows[visit]
            }
            for visit in range(len(problem.visits))
        ]
        self.begins = [self._instant() for _ in problem.visits]
        self.leaves = [self._instant() for _ in problem.visits]
        self.arrives = [self._instant() for _ in problem.visits]
        self.served = [self._serve(visit) for visit in range(len(problem.visits))]
        self.tours = [self._tour(row) for row in range(len(problem.shifts))]
        self._crews()
        self._orders()

    # Words of the model

    def _instant(self, first: int = 0, last: int | None = None) -> Variable:
        return self.cp.new_int_var(first, self.horizon if last is None else last, "")

    def _after(self, before: Variable, after: Variable, seconds: int, *only_if: Variable) -> None:
        self.gaps.append(Gap(before, after, seconds, only_if))
        self.cp.add(after >= before + seconds).only_enforce_if(*only_if)

    def _pay(self, variable: Variable, ticks: int, most: int = 1) -> None:
        """Each unit of the variable, which is at most `most`, costs so much."""
        if ticks:
            self.terms.append((variable, ticks, most))

    # Visits

    def _windows(self, visit: Visit) -> Iterator[TimeWindow]:
        """When work may start, as far as anybody is at work then; counted from the origin."""
        windows = visit.windows
        if visit.pin is not None and visit.pin.start is not None:
            windows = (TimeWindow(visit.pin.start, visit.pin.start),)
        for window in windows:
            first, last = max(0, window.start - self.origin), min(self.horizon, window.end - self.origin)
            if first <= last:
                yield TimeWindow(first, last)

    def _serve(self, row: int) -> Variable:
        """True if the visit is served: by one shift, in one of its windows."""
        visit, begins = self.problem.visits[row], self.begins[row]
        served = self.cp.new_bool_var("")
        self.cp.add_exactly_one([*self.serves[row].values(), ~served])
        self._pay(~served, self.problem.prize_cents(visit) * TICKS_PER_CENT)
        chosen = [self.cp.new_bool_var("") for _ in self.windows[row]]
        self.cp.add_exactly_one([*chosen, ~served])
        for window, literal in zip(self.windows[row], chosen, strict=True):
            self._after(self.zero, begins, window.start, literal)
            self.cp.add(begins <= window.end).only_enforce_if(literal)
        if visit.sla is not None:
            due = min(visit.sla.due - self.origin, self.horizon)
            most = self.horizon - due
            late_s = self.cp.new_int_var(0, most, "")
            self.cp.add(late_s >= begins - due).only_enforce_if(served)
            self._pay(late_s, visit.sla.cents_per_h * TICKS_PER_S_AND_CENT_PER_H, most)
        return served

    def _service_s(self, visit: int, shift: int) -> int:
        return self.problem.visits[visit].service_s_at(self.problem.shifts[shift].skills)

    def _assignment_ticks(self, row: int, shift: Shift, service_s: int) -> int:
        """What it costs that this shift serves the visit, travel apart."""
        visit, weights = self.problem.visits[row], self.problem.weights
        price = shift.cents_per_visit
        if visit.preferred and shift.technician not in visit.preferred:
            price += weights.not_preferred_cents
        if self.planned.get(visit.id, shift.technician) != shift.technician:
            price += weights.move_cents
        permille = sum(self.scarcity.get(skill, 0) for skill in shift.skills if skill not in visit.skills)
        return (
            price * TICKS_PER_CENT
            + service_s * shift.cents_per_h * TICKS_PER_S_AND_CENT_PER_H
            + permille * weights.spare_skill_cents * (TICKS_PER_CENT // PERMILLE)
        )

    # Shifts

    def _tour(self, row: int) -> Tour:
        shift = self.problem.shifts[row]
        first = shift.window.start - self.origin
        last = shift.window.end + shift.overtime_s - self.origin
        rows = [visit for visit, serves in enumerate(self.serves) if row in serves]
        legs: dict[int | None, Leg] = {
            visit: Leg(visit, self.leaves[visit], self.arrives[visit]) for visit in rows
        }
        legs[None] = Leg(None, self._instant(first, last), self._instant(first, last))
        tour = Tour(
            row=row,
            shift=shift,
            used=self.cp.new_bool_var(""),
            arcs=self._arcs(shift, rows),
            legs=legs,
            begins=self._instant(first, last),
            ends=self._instant(first, last),
            breaks=[self._instant() for _ in shift.breaks],
            here=[{to: self.cp.new_bool_var("") for to in legs} for _ in shift.breaks],
            there=[{to: self.cp.new_bool_var("") for to in legs} for _ in shift.breaks],
        )
        self._after(self.zero, tour.begins, first, tour.used)
        self._after(legs[None].arrives, tour.ends, 0, tour.used)
        self._drive(tour)
        for index in range(len(shift.breaks)):
            self._take_break(tour, index)
        self._keep_caps(tour)
        self._pay_shift(tour)
        return tour

    def _arcs(self, shift: Shift, rows: Sequence[int]) -> dict[tuple[int | None, int | None], Variable]:
        """A literal for each way that there is between two visits of the shift, or one and an end of it."""
        ends: list[int | None] = [None, *rows]
        return {
            (before, after): self.cp.new_bool_var("")
            for before in ends
            for after in ends
            if before != after and UNREACHABLE not in self._leg(shift, before, after)
        }

    def _leg(self, shift: Shift, before: int | None, after: int | None) -> tuple[int, int]:
        """Seconds and metres of a way; none to or from an open end."""
        a = shift.start_place if before is None else self.problem.visits[before].place
        b = shift.end_place if after is None else self.problem.visits[after].place
        if a is None or b is None:
            return 0, 0
        return int(self.problem.travel.duration_s[a, b]), int(self.problem.travel.distance_m[a, b])

    def _drive(self, tour: Tour) -> None:
        """One circuit through what the shift serves, and the times along it."""
        node = {to: index for index, to in enumerate([None, *(to for to in tour.legs if to is not None)])}
        loops = [(node[to], node[to], ~self.serves[to][tour.row]) for to in tour.legs if to is not None]
        arcs = [(node[before], node[after], literal) for (before, after), literal in tour.arcs.items()]
        self.cp.add_circuit([(0, 0, ~tour.used), *loops, *arcs])
        for (before, after), literal in tour.arcs.items():
            travel_s, _ = self._leg(tour.shift, before, after)
            leg = tour.legs[after]
            self._after(leg.leaves, leg.arrives, travel_s, literal)
            if before is None:
                self._after(tour.begins, leg.leaves, 0, literal)
            else:
                service_s = self._service_s(before, tour.row)
                self._after(self.begins[before], leg.leaves, service_s, literal)
                if after is not None:
                    self._after(self.begins[before], self.begins[after], service_s + travel_s, literal)
            if after is not None:
                self._after(leg.arrives, self.begins[after], 0, literal)

    def _take_break(self, tour: Tour, index: int) -> None:
        """On one leg, before leaving or on arrival; after the break before it."""
        pause, begins = tour.shift.breaks[index], tour.breaks[index]
        here, there = tour.here[index], tour.there[index]
        self.cp.add_exactly_one([*here.values(), *there.values(), ~tour.used])
        self._after(self.zero, begins, pause.window.start - self.origin, tour.used)
        self.cp.add(begins <= pause.window.end - self.origin).only_enforce_if(tour.used)
        self._after(tour.begins, begins, 0, tour.used)
        self._after(begins, tour.ends, pause.duration_s, tour.used)
        if index > 0:
            before_s = tour.shift.breaks[index - 1].duration_s
            self._after(tour.breaks[index - 1], begins, before_s, tour.used)
        for to, leg in tour.legs.items():
            if to is not None:
                self.cp.add_implication(here[to], self.serves[to][tour.row])
                self.cp.add_implication(there[to], self.serves[to][tour.row])
                self._after(begins, self.begins[to], pause.duration_s, there[to])
            self._after(begins, leg.leaves, pause.duration_s, here[to])
            self._after(leg.arrives, begins, 0, there[to])
        for (before, after), literal in tour.arcs.items():
            if before is not None:
                service_s = self._service_s(before, tour.row)
                self._after(self.begins[before], begins, service_s, here[after], literal)

    def _travel(self, tour: Tour) -> tuple[Any, Any]:
        """Seconds and metres of the tour."""
        lengths = [self._leg(tour.shift, *ends) for ends in tour.arcs]
        literals = list(tour.arcs.values())
        return (
            cp_model.LinearExpr.weighted_sum(literals, [seconds for seconds, _ in lengths]),
            cp_model.LinearExpr.weighted_sum(literals, [metres for _, metres in lengths]),
        )

    def _keep_caps(self, tour: Tour) -> None:
        shift = tour.shift
        served = {to: self.serves[to][tour.row] for to in tour.legs if to is not None}
        travel_s, travel_m = self._travel(tour)
        if shift.max_visits is not None:
            self.cp.add(sum(served.values()) <= shift.max_visits)
        if shift.max_travel_s is not None:
            self.cp.add(travel_s <= shift.max_travel_s)
        if shift.max_travel_m is not None:
            self.cp.add(travel_m <= shift.max_travel_m)
        if shift.max_duration_s is not None:
            self._after(tour.ends, tour.begins, -shift.max_duration_s, tour.used)
        for kind, room in enumerate(shift.capacity):
            loads = {to: self.problem.visits[to].load for to in served}
            taken = [load[kind] * served[to] for to, load in loads.items() if load]
            self.cp.add(sum(taken) <= room)

    def _pay_shift(self, tour: Tour) -> None:
        """Fixed sum, travel, visits, overtime and the balance of hours."""
        shift, weights = tour.shift, self.problem.weights
        self._pay(tour.used, shift.fixed_cents * TICKS_PER_CENT)
        per_s = (shift.cents_per_h + weights.travel_cents_per_h) * TICKS_PER_S_AND_CENT_PER_H
        per_m = (shift.cents_per_km + weights.travel_cents_per_km) * TICKS_PER_M_AND_CENT_PER_KM
        for ends, literal in tour.arcs.items():
            travel_s, travel_m = self._leg(shift, *ends)
            self._pay(literal, travel_s * per_s + travel_m * per_m)
        for to in tour.legs:
            if to is not None:
                ticks = self._assignment_ticks(to, shift, self._service_s(to, tour.row))
                self._pay(self.serves[to][tour.row], ticks)
        over_s = self.cp.new_int_var(0, shift.overtime_s, "")
        ends_at = shift.window.end - self.origin
        self.cp.add(over_s >= tour.legs[None].arrives - ends_at).only_enforce_if(tour.used)
        self._pay(over_s, shift.overtime_cents_per_h * TICKS_PER_S_AND_CENT_PER_H, shift.overtime_s)
        if weights.fairness_cents_per_h2:
            self._balance(tour, weights.fairness_cents_per_h2 * TICKS_PER_CENT)

    def _balance(self, tour: Tour, ticks_per_h2: int) -> None:
        """What the work of the tour adds to the square of the hours, rounded down to ticks."""
        shift = tour.shift
        most_s = shift.window.end + shift.overtime_s - shift.window.start
        work_s = self.cp.new_int_var(0, most_s, "")
        square = self.cp.new_int_var(0, most_s**2, "")
        travel_s, _ = self._travel(tour)
        service_s = sum(
            min(self._service_s(to, tour.row), most_s + 1) * self.serves[to][tour.row]
            for to in tour.legs
            if to is not None
        )
        self.cp.add(work_s == travel_s + service_s)
        self.cp.add_multiplication_equality(square, [work_s, work_s])
        common = math.gcd(ticks_per_h2, 3600**2)
        per_unit, unit = ticks_per_h2 // common, 3600**2 // common
        most = per_unit * (most_s**2 + 2 * shift.given_s * most_s)
        if most >= MAX_SUM:
            raise InvalidProblem("weights.fairness_cents_per_h2", "is too high to plan exactly with")
        added = self.cp.new_int_var(0, most // unit, "")
        self.cp.add(unit * added + unit - 1 >= per_unit * square + 2 * per_unit * shift.given_s * work_s)
        self._pay(added, 1, most // unit)

    # What ties visits together

    def _crews(self) -> None:
        row_of = {visit.id: row for row, visit in enumerate(self.problem.visits)}
        for crew in self.problem.crews:
            leader, *others = (row_of[visit] for visit in crew.visits)
            for other in others:
                self.cp.add(self.served[other] == self.served[leader])
                self._after(self.begins[leader], self.begins[other], 0, self.served[leader])
                self._after(self.begins[other], self.begins[leader], 0, self.served[leader])
            for technician in {shift.technician for shift in self.problem.shifts}:
                self.cp.add_at_most_one(
                    literal
                    for visit in (leader, *others)
                    for shift, literal in self.serves[visit].items()
                    if self.problem.shifts[shift].technician == technician
                )

    def _orders(self) -> None:
        row_of = {visit.id: row for row, visit in enumerate(self.problem.visits)}
        for order in self.problem.orders:
            first, then = row_of[order.first], row_of[order.then]
            both = self.served[then]
            self.cp.add_implication(both, self.served[first])
            for shift, literal in self.serves[first].items():
                over_s = self._service_s(first, shift)
                least_s = over_s + order.min_delay_s
                self._after(self.begins[first], self.begins[then], least_s, literal, both)
                if order.max_delay_s is not None:
                    most_s = over_s + order.max_delay_s
                    self._after(self.begins[then], self.begins[first], -most_s, literal, both)

    # To CP-SAT and back

    def minimise(self) -> int:
        """Sets the objective, in units of so many ticks, into which every price divides."""
        unit = math.gcd(*(ticks for _, ticks, _ in self.terms)) or 1
        most = sum(ticks * units for _, ticks, units in self.terms)
        if most // unit >= MAX_SUM:
            raise InvalidProblem(
                "weights", f"prices add up to {most // TICKS_PER_CENT} cents, too much to prove"
            )
        self.cp.minimize(
            cp_model.LinearExpr.weighted_sum(
                [variable for variable, _, _ in self.terms], [ticks // unit for _, ticks, _ in self.terms]
            )
        )
        return unit

    def hint(self, start: Plan) -> None:
        """Begins with what of the start plan the model knows."""
        row_of = {visit.id: row for row, visit in enumerate(self.problem.visits)}
        shift_of = {shift.id: row for row, shift in enumerate(self.problem.shifts)}
        hinted = {
            row_of[stop.visit]: shift_of[route.shift]
            for route in start.routes
            for stop in route.stops
            if stop.visit in row_of and route.shift in shift_of
        }
        for visit, serves in enumerate(self.serves):
            for shift, literal in serves.items():
                self.cp.add_hint(literal, hinted.get(visit) == shift)

    def pinned(self) -> list[Variable]:
        """Whether each pinned visit is served."""
        visits = zip(self.problem.visits, self.served, strict=True)
        return [served for visit, served in visits if visit.pin is not None]

    def hint_answer(self, solver: Any) -> None:
        """Begins with the whole of an answer."""
        self.cp.clear_hints()  # type: ignore[no-untyped-call]
        for index in range(len(self.cp.proto.variables)):
            variable = self.cp.get_int_var_from_proto_index(index)
            self.cp.add_hint(variable, solver.value(variable))

    def routes(self, solver: Any) -> Iterator[Route]:
        """What the solver chose, each stop and return as early as that choice allows."""
        at = self._earliest(solver)
        for tour in self.tours:
            if solver.boolean_value(tour.used):
                yield self._route(solver, tour, at)

    def _earliest(self, solver: Any) -> dict[int, int]:
        """The least instants that keep all gaps that hold, by index of the variable: the longest paths, as in a
        critical path. The solver's own instants keep them too, so they end somewhere."""
        gaps = [gap for gap in self.gaps if all(solver.boolean_value(literal) for literal in gap.only_if)]
        at = {gap_end.index: 0 for gap in gaps for gap_end in (gap.before, gap.after)}
        moved = True
        while moved:
            moved = False
            for gap in gaps:
                earliest = at[gap.before.index] + gap.seconds
                if earliest > at[gap.after.index]:
                    at[gap.after.index] = earliest
                    moved = True
        return at

    def _route(self, solver: Any, tour: Tour, at: Mapping[int, int]) -> Route:
        def instant(variable: Variable) -> int:
            return self.origin + at[variable.index]

        follows = {before: after for (before, after), arc in tour.arcs.items() if solver.boolean_value(arc)}
        stops: list[Stop] = []
        before, visit = None, follows[None]
        while visit is not None:
            travel_s, travel_m = self._leg(tour.shift, before, visit)
            start = instant(self.begins[visit])
            end = start + self._service_s(visit, tour.row)
            arrival = instant(self.arrives[visit])
            stops.append(Stop(self.problem.visits[visit].id, arrival, start, end, travel_s, travel_m))
            before, visit = visit, follows[visit]
        legs = [self._leg(tour.shift, *ends) for ends in follows.items()]
        on_arrival = [
            instant(begins)
            for begins, there in zip(tour.breaks, tour.there, strict=True)
            if follows[None] in there and solver.boolean_value(there[follows[None]])
        ]
        first = replace(stops[0], arrival=min([stops[0].start, *on_arrival]))
        return Route(
            shift=tour.shift.id,
            technician=tour.shift.technician,
            stops=(first, *stops[1:]),
            departs_at=first.arrival - first.travel_s,
            returns_at=instant(tour.legs[None].arrives),
            travel_s=sum(seconds for seconds, _ in legs),
            travel_m=sum(metres for _, metres in legs),
            breaks=tuple(
                BreakTaken(instant(begins), instant(begins) + pause.duration_s)
                for begins, pause in zip(tour.breaks, tour.shift.breaks, strict=True)
            ),
        )
