"""Plans field service: plain data in, a plan out. Knows no database, no web framework and no clock of its
own.

plan = solve(Problem(visits, shifts, travel), time_limit_s=5, seed=0)
"""

from optimizer.check import Violation, check
from optimizer.insertion import Insertion, PreparedRoutes, Recommendation, recommend
from optimizer.plan import BreakTaken, Merge, Plan, Progress, Reason, Route, Stop, Unserved
from optimizer.problem import (
    UNREACHABLE,
    Break,
    InvalidProblem,
    Pin,
    Problem,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
    Weights,
)
from optimizer.schedule import Infeasible, time_route
from optimizer.search import solve, warm
from optimizer.travel import Geodesic, InvalidPlace, Place, TravelProvider

__all__ = [
    "UNREACHABLE",
    "Break",
    "BreakTaken",
    "Geodesic",
    "Infeasible",
    "Insertion",
    "InvalidPlace",
    "InvalidProblem",
    "Merge",
    "Pin",
    "Place",
    "Plan",
    "PreparedRoutes",
    "Problem",
    "Progress",
    "Reason",
    "Recommendation",
    "Route",
    "Shift",
    "Stop",
    "TimeWindow",
    "TravelMatrix",
    "TravelProvider",
    "Unserved",
    "Violation",
    "Visit",
    "Weights",
    "check",
    "recommend",
    "solve",
    "time_route",
    "warm",
]
