"""Plans field service: plain data in, a plan out. Knows no database, no web framework and no clock of its
own.

plan = solve(Problem(visits, shifts, travel), time_limit_s=5, seed=0)
"""

from optimizer.check import Violation, check
from optimizer.exact import Exact, solve_exact
from optimizer.insertion import Insertion, Obstacles, PreparedRoutes, Recommendation, recommend
from optimizer.plan import BreakTaken, Epoch, Merge, Plan, Progress, Reason, Route, Stop, Unserved
from optimizer.problem import (
    UNREACHABLE,
    Break,
    Crew,
    InvalidProblem,
    Order,
    Pin,
    Problem,
    Shift,
    Sla,
    TimeWindow,
    TravelMatrix,
    Visit,
    Weights,
)
from optimizer.schedule import Infeasible, time_route
from optimizer.search import solve, warm
from optimizer.travel import FallbackMatrix, Geodesic, InvalidPlace, Place, SpeedProfile, TravelProvider

__all__ = [
    "UNREACHABLE",
    "Break",
    "BreakTaken",
    "Crew",
    "Epoch",
    "Exact",
    "FallbackMatrix",
    "Geodesic",
    "Infeasible",
    "Insertion",
    "InvalidPlace",
    "InvalidProblem",
    "Merge",
    "Obstacles",
    "Order",
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
    "Sla",
    "SpeedProfile",
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
    "solve_exact",
    "time_route",
    "warm",
]
