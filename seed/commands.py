"""The commands that seed brings to `dispatch`: import, demo, simulate.

What they need is imported when they run, so that `dispatch --help` stays quick.
"""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine

from api.context import utc_now
from dispatch import database
from dispatch.settings import Settings, load_settings
from seed import city
from seed.errors import Failed
from seed.nyc311 import Loaded, Refused, fetch_day, read_file, tomorrow

if TYPE_CHECKING:
    from seed.demo import Demo

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_time_limit = click.option(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(0.1, 3600),
    default=15.0,
    show_default=True,
    metavar="S",
    help="Seconds for the plan.",
)
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print figures and plans as JSON instead of a table."
)
_calls = click.option(
    "--calls",
    "file",
    type=_FILE,
    help="A day of the city's calls (format nyc311) instead of the generated one.",
)


class _Command(click.Command):
    """What fails in an expected way is said without a traceback; the exit code is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs it."""
        try:
            return super().invoke(ctx)
        except Failed as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    """The configured database, brought up to date."""
    database.upgrade(settings.database_url)
    engine = database.open_engine(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from error


def _read(file: Path, moved_to: date | None) -> Loaded:
    return read_file(_bytes_of(file), moved_to=moved_to)


def _tell_refused(refused: Iterable[Refused]) -> None:
    for row in refused:
        click.echo(f"line {row.line}: {row.reason}", err=True)


@click.command("import", cls=_Command)
@click.option("--organization", "slug", metavar="SLUG", help="Whose calls they are; places are everybody's.")
@click.option("--format", "format_", type=click.Choice(["nyc311", "places"]), required=True)
@click.argument("file", type=_FILE, required=False)
@click.option(
    "--date",
    "fetched",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Fetch this day from NYC Open Data instead of reading FILE.",
)
@click.option(
    "--keep-dates", is_flag=True, help="Leave the calls on their own day instead of moving them to tomorrow."
)
def import_calls(
    slug: str | None, format_: str, file: Path | None, fetched: datetime | None, *, keep_dates: bool
) -> None:
    """Load calls or places from a file. What was loaded before is left alone; refused lines are printed with the
    reason, the others are loaded.

    nyc311: calls to New York's 311 line as service requests of an organization. Makes the territory and the services
    that they need.

    places: what addresses are looked up in. CSV with a header, or JSON lines, in UTF-8; columns name (or address), lat
    and lon in degrees, and if wanted zip and kind (place, the default; street or area, where the degrees are only
    its middle, which is offered and never taken for an address). Others are passed over. A name that begins with
    its ZIP code is an area.
    """
    if format_ == "places":
        if file is None or fetched is not None or keep_dates:
            raise click.UsageError("places are read from a FILE, and have no dates")
        _import_places(file)
        return
    if slug is None:
        raise click.UsageError("say whose calls they are: --organization SLUG")
    if (file is None) == (fetched is None):
        raise click.UsageError("give either FILE or --date")
    _import_nyc311(slug, file, fetched, keep_dates=keep_dates)


def _import_nyc311(slug: str, file: Path | None, fetched: datetime | None, *, keep_dates: bool) -> None:
    from dispatch.events import SYSTEM
    from dispatch.organization import organization_by_slug
    from seed.load import load_calls

    moved_to = None if keep_dates else tomorrow(utc_now())
    with _engine(load_settings()) as engine:
        with database.transaction(engine) as session:
            session.expire_on_commit = False
            organization = organization_by_slug(session, slug)
        if file is not None:
            read = _read(file, moved_to)
        else:
            assert fetched is not None
            read = fetch_day(fetched.date(), moved_to=moved_to)
        _tell_refused(read.refused)
        loaded = load_calls(engine, organization, read.calls, SYSTEM, utc_now())
    for call_id, reason in loaded.refused:
        click.echo(f"line {read.lines[call_id]}: {reason}", err=True)
    refused = len(read.refused) + len(loaded.refused)
    where = f", on {moved_to}" if moved_to else ""
    click.echo(f"{len(loaded.created)} created, {len(loaded.known)} there before, {refused} refused{where}")
    if not loaded.created and not loaded.known:
        raise click.ClickException("no call was loaded")


def _import_places(file: Path) -> None:
    from seed.places import load_places, read_places

    content = _bytes_of(file)
    rows = read_places(content)
    with _engine(load_settings()) as engine, Progress(console=_err, transient=True) as bar:
        task = bar.add_task("Loading", total=content.count(b"\n") or 1)
        loaded = load_places(engine, rows, utc_now(), lambda read: bar.update(task, completed=read))
    _tell_refused(loaded.refused)
    click.echo(f"{loaded.created} created, {loaded.known} there before, {len(loaded.refused)} refused")
    if not loaded.created and not loaded.known:
        raise click.ClickException("no place was loaded")


def _day_of(day: date, file: Path | None, seed: int) -> city.Day:
    """The generated day, or the file's calls on it with the generated freelancers."""
    if file is None:
        return city.generate_day(day, seed=seed)
    loaded = _read(file, day)
    _tell_refused(loaded.refused)
    if not loaded.calls:
        raise click.ClickException(f"{file}: no call could be read")
    return city.with_calls(day, loaded.calls, seed=seed)


def _title(day: city.Day) -> str:
    return (
        f"{day.date:%A}, {day.date.day} {day.date:%B %Y}, in New York: "
        f"{len(day.calls)} calls, {len(day.freelancers)} freelancers"
    )


class _Bar:
    """The progress of a plan, on the terminal."""

    def __init__(self) -> None:
        columns = (
            TextColumn("Planning"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._progress = Progress(*columns, console=_err)
        self._task = self._progress.add_task("", total=1.0, told="")

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._progress.update(self._task, completed=1.0)
        self._progress.stop()

    def tell(self, fraction: float, unserved: int, cost_cents: int) -> None:
        told = f"{unserved} left out, cost ${cost_cents / 100:,.0f}"
        self._progress.update(self._task, completed=fraction, told=told)


class _DayBar:
    """How much of a simulated day is over, on the terminal."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TextColumn("{task.fields[clock]}"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=_err)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_DayBar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, who: str, fraction: float, clock: str) -> None:
        if who not in self._tasks:
            self._tasks[who] = self._progress.add_task(who, total=1.0, clock="")
        self._progress.update(self._tasks[who], completed=fraction, clock=clock)


@click.command(cls=_Command)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=city.SEED,
    show_default=True,
    help="Of all chance. Same seed, same day.",
)
@click.option(
    "--day",
    "date_",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2012-11-20",
    show_default=True,
    help="The day in New York on which the clock of the simulation runs.",
)
@click.option(
    "--size", type=click.IntRange(1, 5_000), help="How many calls are generated; freelancers in proportion."
)
@_calls
@click.option(
    "--plan-every",
    "plan_every_min",
    type=click.IntRange(5, 1_440),
    default=60,
    show_default=True,
    metavar="MIN",
)
@click.option(
    "--max-work",
    type=click.IntRange(1, 10**6),
    default=2_000,
    show_default=True,
    help="Iterations of each plan: bounded by work, so that a plan is the same each time.",
)
@click.option(
    "--offer-before",
    "offer_before_h",
    type=click.FloatRange(0.5, 48),
    default=3.0,
    show_default=True,
    metavar="H",
    help="How many hours before their window visits are offered.",
)
@click.option(
    "--closed-if-chosen",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Of the doors that stayed closed in 2012, the share that does where the customer chose the window.",
)
@click.option(
    "--database-url", help="Of an empty database, which is kept; by default one that is thrown away."
)
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the day into this PNG."
)
@_as_json
def simulate(
    seed: int,
    date_: datetime,
    size: int | None,
    file: Path | None,
    plan_every_min: int,
    max_work: int,
    offer_before_h: float,
    closed_if_chosen: float,
    database_url: str | None,
    picture: Path | None,
    *,
    as_json: bool,
) -> None:
    """Live through a day on a simulated clock, by this system's API and by hand.

    Calls arrive as they did on 2012-11-20; customers choose, freelancers accept or decline, visits take longer or
    shorter, doors stay closed. The same people, in the same run, are dispatched by hand. Fails if the API fails, if
    anybody is ever in two places, or if a promise is neither kept nor broken. docs/simulate.md says what is assumed.
    """
    from seed.simulation import report
    from seed.simulation.day import run_day
    from seed.simulation.people import Assumptions
    from seed.simulation.picture import draw_day
    from seed.simulation.through_api import Policy

    if size is not None and file is not None:
        raise click.UsageError("--size is of generated calls; a file has its own")
    date_of_clock = date_.date()
    day = (
        _day_of(date_of_clock, file, seed) if size is None else city.small_day(date_of_clock, size, seed=seed)
    )
    policy = Policy(
        plan_every_s=plan_every_min * 60, max_work=max_work, offer_before_s=round(offer_before_h * 3600)
    )
    with _DayBar() as bar:
        outcome = run_day(
            day,
            seed=seed,
            policy=policy,
            assumptions=Assumptions(closed_if_chosen),
            database_url=database_url,
            tell=bar.tell,
        )
    if picture is not None:
        draw_day(outcome, picture)
    if as_json:
        click.echo(json.dumps(report.as_json(outcome), indent=1))
    else:
        _out.print(report.as_table(outcome))
        _out.print(
            "\n".join([*report.assumptions_of(outcome), *report.machinery_of(outcome)]), soft_wrap=True
        )
        _err.print(f"{outcome.elapsed_s:,.0f} s by the real clock")
    if not outcome.is_sound:
        raise click.ClickException("\n".join(["the day is not sound", *report.wrongs_of(outcome)]))


@click.command(cls=_Command)
@click.option(
    "--organization",
    "slug",
    metavar="SLUG",
    help="Of the demonstration; `demo`, or `demo-nyc311` with --calls.",
)
@click.option("--serve", "serves", is_flag=True, help="Serve the API afterwards.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True)
@_calls
@_time_limit
@_as_json
@click.pass_context
def demo(
    ctx: click.Context,
    slug: str | None,
    host: str,
    port: int,
    file: Path | None,
    time_limit_s: float,
    *,
    serves: bool,
    as_json: bool,
) -> None:
    """Load tomorrow's calls in New York, plan them, show what came of it.

    Beside our plan stands what a dispatcher does by hand. A day that was planned before is shown at once. The
    map of the routes and the figures, with both plans, are kept in the directory `demo` beside the database.
    """
    from api import cli
    from api.serving import require_free
    from seed import report
    from seed.demo import Demo, both_figures, results_of

    if serves:
        require_free(host, port)
    settings = load_settings()
    name = slug or ("demo" if file is None else "demo-nyc311")
    with _engine(settings) as engine:
        shown = Demo(engine, settings, name, tomorrow(utc_now()))
        answer = results_of(shown)
        if answer is None:
            _make(shown, _day_of(shown.day, file, city.SEED), time_limit_s)
            answer = results_of(shown)
            assert answer is not None
        if as_json:
            click.echo(json.dumps(answer))
        else:
            _out.print(report.as_table(*both_figures(answer), answer["title"]))
        _tell_links(shown, f"http://{f'[{host}]' if ':' in host else host}:{port}")
    if serves:
        ctx.invoke(cli.serve, host=host, port=port)


def _make(shown: "Demo", day: city.Day, time_limit_s: float) -> None:
    """Loads, plans and keeps the day."""
    from seed import demo as demonstration

    began = time.monotonic()
    calls = [replace(call, id=f"{day.date}-{call.id}") for call in day.calls]
    with _err.status(f"Loading {len(calls)} calls and {len(day.freelancers)} freelancers ..."):
        loaded = demonstration.load(shown, calls, day.freelancers, utc_now())
    _err.print(f"Loaded {len(loaded.created)} calls in {time.monotonic() - began:.1f} s")
    _err.print(
        "Addresses are looked up among the city's ZIP codes, each at the mean position of its calls on 2012-11-20 "
        "(NYC Open Data, erm2-nwe9)",
        soft_wrap=True,
    )
    with _Bar() as bar:

        def tell(told: dict[str, Any]) -> None:
            bar.tell(told["fraction"], told["unserved"], told["cost_cents"])

        comparison, working_day = demonstration.plan_and_compare(shown, calls, time_limit_s, tell, utc_now())
    with _err.status("Drawing the map ..."):
        demonstration.save(shown, comparison, working_day, _title(day))


def _tell_links(shown: "Demo", base: str) -> None:
    from seed.demo import links

    found = links(shown, utc_now())
    board = f"territory_id={found.territory_id}&date={shown.day}"
    told = {
        "Map of the routes": shown.map_path,
        "Figures and plans": shown.json_path,
        "Documentation": f"{base}/docs",
        "The board": f"{base}/board?{board}",
        "  sign in with the key": found.key,
        "A freelancer's offers": f"{base}/work",
        "  sign in with its key": found.freelancer_key or "nobody has a visit that day",
        "Book a visit": f"{base}/book/{shown.slug}",
        "One customer's visit": f"{base}/t/{found.tracking}" if found.tracking else "nobody was promised one",
        "The board as JSON": f"curl -H 'Authorization: Bearer {found.key}' '{base}/v1/board?{board}'",
    }
    for name, where in told.items():
        _err.print(f"{name:<24}{where}", soft_wrap=True)
