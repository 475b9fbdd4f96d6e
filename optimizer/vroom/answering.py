"""From the text of a document to the text of an answer: what the command line and the endpoint share."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optimizer.plan import Plan
from optimizer.problem import InvalidProblem
from optimizer.vroom.judging import judge
from optimizer.vroom.reading import Limits, Request, read_document
from optimizer.vroom.values import InputError, TooLarge, parse_json
from optimizer.vroom.writing import (
    INPUT_ERROR,
    OK,
    TOO_LARGE,
    with_setups_spent_once,
    write,
    write_error,
)

Solver = Callable[[Request], Plan]


@dataclass(frozen=True, slots=True)
class Answer:
    """VROOM's code and its JSON."""

    code: int
    text: str


def answer(text: bytes, solver: Solver, *, judged: bool = False, limits: Limits | None = None) -> Answer:
    """The answer to a document, whatever it is: what cannot be planned or judged is told with VROOM's code 2, what
    exceeds `limits` with vroom-express's 4. solver: plans the request's problem, from its `start_plan`. judged: judges
    the given steps, as if the document asked for it."""
    try:
        return Answer(OK, json.dumps(_written(text, solver, judged, limits), allow_nan=False))
    except TooLarge as error:
        return refusal(str(error), TOO_LARGE)
    except (InputError, InvalidProblem) as error:
        return refusal(str(error))


def refusal(sentence: str, code: int = INPUT_ERROR) -> Answer:
    """VROOM's answer where it has none."""
    return Answer(code, json.dumps(write_error(sentence, code)))


def _written(text: bytes, solver: Solver, judged: bool, limits: Limits | None) -> dict[str, Any]:
    begun = time.perf_counter()
    request = read_document(parse_json(text), judged=judged, limits=limits)
    loading_ms = _ms_since(begun)
    if request.options.judged:
        return judge(request, loading_ms=loading_ms)
    solving = time.perf_counter()
    plan = with_setups_spent_once(request, solver(request))
    return write(request, plan, loading_ms=loading_ms, solving_ms=_ms_since(solving))


def _ms_since(instant: float) -> int:
    return round(1000 * (time.perf_counter() - instant))
