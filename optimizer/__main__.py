"""`python -m optimizer solve day.json --time-limit 10`: VROOM's JSON in, VROOM's JSON out."""

import json
import time
from collections.abc import Callable
from typing import IO, Any, Literal

import click

from optimizer import vroom
from optimizer.plan import Plan
from optimizer.problem import InvalidProblem, Problem
from optimizer.search import solve

Engine = Literal["search", "routing"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Plan a day of field service: who goes where, and when."""


@main.command(name="solve")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--time-limit", type=click.FloatRange(0.1, 86_400), help="Seconds to plan; 5 without --max-work."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of the search."
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Cores to use.")
@click.option(
    "--max-work", type=click.IntRange(1), help="Iterations; the answer then repeats on any machine."
)
@click.option(
    "--engine",
    type=click.Choice(["search", "routing"]),
    default="search",
    show_default=True,
    help="The search, or OR-Tools' routing library as a reference.",
)
def solve_command(
    file: IO[bytes], time_limit: float | None, seed: int, threads: int, max_work: int | None, engine: Engine
) -> None:
    """Read VROOM's JSON from FILE (- is standard input) and write VROOM's JSON to standard output.

    What cannot be planned is answered with {"code": 2, "error": ...} and exit status 2.
    """
    if time_limit is None and max_work is None:
        time_limit = 5.0

    def plan(problem: Problem) -> Plan:
        return solve(
            problem, time_limit_s=time_limit, max_work=max_work, seed=seed, engine=engine, threads=threads
        )

    try:
        answer = _answer(file.read(), plan)
    except (vroom.InputError, InvalidProblem) as error:
        click.echo(json.dumps(vroom.write_error(str(error))))
        raise SystemExit(vroom.INPUT_ERROR) from None
    click.echo(json.dumps(answer))


def _answer(text: bytes, plan: Callable[[Problem], Plan]) -> dict[str, Any]:
    begun = time.perf_counter()
    request = vroom.read(text)
    read = time.perf_counter()
    planned = plan(request.problem)
    solved = time.perf_counter()
    loading_ms, solving_ms = round(1000 * (read - begun)), round(1000 * (solved - read))
    return vroom.write(request, planned, loading_ms=loading_ms, solving_ms=solving_ms)


if __name__ == "__main__":
    main(prog_name="python -m optimizer")
