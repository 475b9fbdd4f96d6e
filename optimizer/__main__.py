"""`python -m optimizer solve day.json --time-limit 10`: VROOM's JSON in, VROOM's JSON out."""

import json
from typing import IO, Literal

import click

from optimizer import vroom
from optimizer.plan import Plan
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

    Steps of vehicles are the plan to start from; with "options": {"c": true} they are judged, as by `check`.
    What cannot be planned is answered with {"code": 2, "error": ...} and exit status 2.
    """
    if time_limit is None and max_work is None:
        time_limit = 5.0

    def plan(request: vroom.Request) -> Plan:
        return solve(
            request.problem,
            time_limit_s=time_limit,
            max_work=max_work,
            seed=seed,
            start=request.start_plan(),
            engine=engine,
            threads=threads,
        )

    _say(vroom.answer(file.read(), plan))


@main.command()
@click.argument("file", type=click.File("rb"))
def check(file: IO[bytes]) -> None:
    """Judge a hand-made plan: VROOM's JSON with `steps` for its vehicles, from FILE (- is standard input).

    Writes VROOM's JSON to standard output: when each step is reached, and which rules are broken where, with VROOM's
    causes. Exit status 1 if any is broken, 2 with {"code": 2, "error": ...} for what cannot be judged.
    """
    answer = vroom.answer(file.read(), _not_solved, judged=True)
    _say(answer)
    raise SystemExit(bool(json.loads(answer.text)["summary"]["violations"]))


def _not_solved(request: vroom.Request) -> Plan:
    raise AssertionError("what is judged is not solved")


def _say(answer: vroom.Answer) -> None:
    click.echo(answer.text)
    if answer.code != vroom.OK:
        raise SystemExit(vroom.INPUT_ERROR)


if __name__ == "__main__":
    main(prog_name="python -m optimizer")
