"""Who may do what: the hard rules between a visit and a shift that hold whatever else is planned.

Each rule is one function from a visit and the fleet to a bool array [shifts] that is true where the rule is
broken. The solver's matrix and the reasons told to people come from the same functions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimizer.plan import Reason, ReasonCode
from optimizer.problem import Shift, TravelMatrix, Visit

Mask = NDArray[np.bool_]

UNLIMITED = 2**40
"""A cap that is not set: visits or metres, beyond any real figure."""


@dataclass(frozen=True, eq=False)
class Fleet:
    """The shifts as columns, so that a rule is one comparison over all of them."""

    shifts: tuple[Shift, ...]
    travel: TravelMatrix
    technician: NDArray[np.int64]
    start_place: NDArray[np.int64]
    radius_m: NDArray[np.int64]
    cents_per_h: NDArray[np.int64]
    cents_per_visit: NDArray[np.int64]
    code_of_technician: dict[str, int]
    scarcity: Mapping[str, int] = field(default_factory=dict)
    level_of: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    lacking: dict[tuple[tuple[str, int], ...], Mask] = field(default_factory=dict)

    @classmethod
    def of(cls, shifts: Sequence[Shift], travel: TravelMatrix, visits: Sequence[Visit] = ()) -> "Fleet":
        """visits: all that are to be served, from which follows which skills are scarce."""
        codes = {name: code for code, name in enumerate(dict.fromkeys(shift.technician for shift in shifts))}
        return cls(
            shifts=tuple(shifts),
            travel=travel,
            technician=np.array([codes[shift.technician] for shift in shifts], np.int64),
            start_place=np.array([-1 if s.start_place is None else s.start_place for s in shifts], np.int64),
            radius_m=np.array([UNLIMITED if s.radius_m is None else s.radius_m for s in shifts], np.int64),
            cents_per_h=np.array([shift.cents_per_h for shift in shifts], np.int64),
            cents_per_visit=np.array([shift.cents_per_visit for shift in shifts], np.int64),
            code_of_technician=codes,
            scarcity=scarcity(visits, shifts),
        )

    def service_s(self, visit: Visit) -> NDArray[np.int64]:
        """How long the work takes in every shift; see `Visit.service_s_at`."""
        if not visit.service_s_by_level:
            return np.full(len(self.shifts), visit.service_s, np.int64)
        return np.array([visit.service_s_at(shift.skills) for shift in self.shifts], np.int64)

    def scarce_permille(self, visit: Visit) -> NDArray[np.int64]:
        """The scarcity of the skills that every shift has and the visit does not need, added up."""
        permille = np.zeros(len(self.shifts), np.int64)
        for skill, scarce in self.scarcity.items():
            if skill not in visit.skills:
                permille += (self.levels(skill) > 0) * scarce
        return permille

    def levels(self, skill: str) -> NDArray[np.int64]:
        """The level of every shift in this skill, 0 where it is missing."""
        if skill not in self.level_of:
            self.level_of[skill] = np.array([shift.skills.get(skill, 0) for shift in self.shifts], np.int64)
        return self.level_of[skill]

    def lacks(self, least: tuple[tuple[str, int], ...]) -> Mask:
        """Which shifts are below one of these levels; kept for the next visit that asks the same."""
        if least not in self.lacking:
            below = np.zeros(len(self.shifts), np.bool_)
            for skill, level in least:
                below |= self.levels(skill) < level
            self.lacking[least] = below
        return self.lacking[least]

    def is_one_of(self, technicians: Iterable[str]) -> Mask:
        """Which shifts belong to these technicians."""
        belongs = np.zeros(len(self.shifts), np.bool_)
        for name in technicians:
            belongs |= self.technician == self.code_of_technician.get(name, -1)
        return belongs

    def metres_to(self, place: int) -> NDArray[np.int64]:
        """Travel distance from every start place to `place`; 0 where a shift begins at its first visit."""
        metres = self.travel.distance_m[self.start_place, place].astype(np.int64)
        return np.where(self.start_place < 0, 0, metres)


def scarcity(visits: Sequence[Visit], shifts: Sequence[Shift]) -> dict[str, int]:
    """How scarce each skill is in permille: the share of the visits that need it over the share of the shifts that
    have it, at most 1000."""
    needing = Counter(skill for visit in visits for skill in visit.skills)
    having = Counter(skill for shift in shifts for skill in shift.skills)
    return {
        skill: min(1000, 1000 * needing[skill] * len(shifts) // (len(visits) * count))
        for skill, count in having.items()
        if needing[skill]
    }


def lacks_skill(visit: Visit, fleet: Fleet) -> Mask:
    return fleet.lacks(tuple((skill, 1) for skill in visit.skills))


def lacks_level(visit: Visit, fleet: Fleet) -> Mask:
    return fleet.lacks(tuple(visit.skills.items()))


def is_excluded(visit: Visit, fleet: Fleet) -> Mask:
    """Named as excluded, or others are required."""
    if not visit.excluded and not visit.required:
        return np.zeros(len(fleet.shifts), np.bool_)
    broken = fleet.is_one_of(visit.excluded)
    return broken | ~fleet.is_one_of(visit.required) if visit.required else broken


def is_outside_radius(visit: Visit, fleet: Fleet) -> Mask:
    return fleet.metres_to(visit.place) > fleet.radius_m


def is_not_the_pinned(visit: Visit, fleet: Fleet) -> Mask:
    assert visit.pin is not None
    return ~fleet.is_one_of([visit.pin.technician])


Rule = Callable[[Visit, Fleet], Mask]

RULES: tuple[tuple[ReasonCode, Rule], ...] = (
    ("excluded", is_excluded),
    ("skill_missing", lacks_skill),
    ("level_too_low", lacks_level),
    ("outside_radius", is_outside_radius),
)
PINNED_RULES: tuple[tuple[ReasonCode, Rule], ...] = (("excluded", is_not_the_pinned),)


def rules_for(visit: Visit) -> tuple[tuple[ReasonCode, Rule], ...]:
    """A pin is a person's decision on who: skills, radius, required and excluded yield to it."""
    return RULES if visit.pin is None else PINNED_RULES


def broken_rules(visit: Visit, fleet: Fleet) -> NDArray[np.int8]:
    """For every shift the index in `rules_for` of the first rule that bars it, -1 where it may serve the
    visit."""
    first = np.full(len(fleet.shifts), -1, np.int8)
    for index, (_, rule) in enumerate(rules_for(visit)):
        first[(first < 0) & rule(visit, fleet)] = index
    return first


def eligibility(visits: Sequence[Visit], fleet: Fleet) -> Mask:
    """Who may do what, bool [visits, shifts]."""
    allowed = np.zeros((len(visits), len(fleet.shifts)), np.bool_)
    for row, visit in enumerate(visits):
        allowed[row] = broken_rules(visit, fleet) < 0
    return allowed


def reason_for(visit: Visit, fleet: Fleet, shift: int, rule: int) -> Reason:
    """The broken rule of this pair (an index as in `broken_rules`) in words."""
    code = rules_for(visit)[rule][0]
    technician = (fleet.shifts[shift].technician,)
    have = fleet.shifts[shift].skills
    if code == "skill_missing":
        missing = sorted(skill for skill in visit.skills if skill not in have)
        if fleet.shifts[shift].expired.issuperset(missing):
            return Reason(
                "skill_expired", f"has no valid certificate any more: {', '.join(missing)}", technician
            )
        return Reason(code, f"lacks {', '.join(missing)}", technician)
    if code == "level_too_low":
        short = {skill: least - have.get(skill, 0) for skill, least in visit.skills.items()}
        skill, by = max(sorted(short.items()), key=lambda item: item[1])
        return Reason(code, f"{skill} is below level {visit.skills[skill]}", technician, by)
    if code == "outside_radius":
        by = int(fleet.metres_to(visit.place)[shift] - fleet.radius_m[shift])
        return Reason(code, "lives too far away (metres beyond the radius)", technician, by)
    if visit.pin is not None:
        return Reason(code, f"pinned to {visit.pin.technician}", technician)
    if visit.required and fleet.shifts[shift].technician not in visit.required:
        return Reason(code, f"only {', '.join(sorted(visit.required))} may", technician)
    return Reason(code, "excluded from this visit", technician)


def grouped(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Reasons of one code and wording as one, with all technicians and the smallest `by`."""
    groups: dict[tuple[str, str], list[Reason]] = {}
    for reason in reasons:
        groups.setdefault((reason.code, reason.detail), []).append(reason)
    return tuple(
        Reason(
            same[0].code,
            same[0].detail,
            tuple(dict.fromkeys(name for reason in same for name in reason.technicians)),
            min((reason.by for reason in same if reason.by is not None), default=None),
        )
        for same in groups.values()
    )
