"""`dispatch`: to begin, to serve, to look after keys and the database. Errors are one line: exit code 2 for
wrong usage or settings, 1 for what failed.

What a command needs beyond the database is imported when it runs, so that `dispatch --help` stays quick."""

import json
import logging
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from alembic.util import CommandError
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from api.context import utc_now
from api.logs import configure
from dispatch import database, keys
from dispatch.errors import DispatchError, Invalid, NotFound
from dispatch.events import Actor
from dispatch.keys import ApiKey
from dispatch.organization import create_organization, organization_by_slug
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.settings import PREFIX, InvalidSettings, Settings, load_settings
from dispatch.tables import METADATA
from dispatch.territory import Territory, territories

COMMANDS = "dispatch.commands"
THREADS = 16

_out = Console()
_err = Console(stderr=True)


def _broken(name: str, why: str) -> click.Command:
    """Stands where a command of another package should: it says why it is not there and fails."""

    def fail() -> None:
        raise click.ClickException(f"{name} {why}")

    return click.Command(
        name, callback=fail, short_help=why, context_settings={"ignore_unknown_options": True}
    )


class Commands(click.Group):
    """Our commands and those that other packages bring by the entry points `dispatch.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *(point.name for point in self._brought())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of ours, or one that is brought, which is imported only now."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        point = next((point for point in self._brought() if point.name == cmd_name), None)
        if point is None:
            return None
        try:
            command: click.Command = point.load()
        except ImportError as error:
            return _broken(cmd_name, f"cannot be loaded: {error}")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """What fails in an expected way is said in a line."""
        try:
            return super().invoke(ctx)
        except InvalidSettings as error:
            raise click.UsageError(str(error)) from error
        except Invalid as error:
            lines = [f"{item['field']}: {item['message']}" for item in error.extra["errors"]]
            raise click.UsageError("\n".join(lines)) from error
        except DispatchError as error:
            raise click.ClickException(error.detail) from error
        except (CommandError, SQLAlchemyError) as error:
            raise click.ClickException(str(error).splitlines()[0]) from error

    @staticmethod
    def _brought() -> list[EntryPoint]:
        return list(entry_points(group=COMMANDS))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="freelance-dispatch", prog_name="dispatch")
def main() -> None:
    """Dispatch for field service done by freelancers."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True)
@click.option("--threads", type=click.IntRange(1, 512), default=THREADS, show_default=True, help="A process.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option(
    "--worker/--no-worker",
    "with_worker",
    default=True,
    show_default=True,
    help="Run plans and timers beside it; without, `dispatch worker` does so elsewhere.",
)
def serve(host: str, port: int, threads: int, workers: int, with_worker: bool) -> None:
    """Serve the API and the pages; brings the database up to date first. Links begin with this address unless
    DISPATCH_PUBLIC_URL says where people reach it."""
    from api.serving import Server, require_free, worker_beside

    require_free(host, port)
    bind = f"{f'[{host}]' if ':' in host else host}:{port}"
    os.environ.setdefault(f"{PREFIX}PUBLIC_URL", f"http://{bind}")
    settings = load_settings()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    _warn_of_sqlite(settings)
    database.upgrade(settings.database_url)
    _err.print(f"Serving at http://{bind}, documentation at http://{bind}/docs", highlight=False)
    with worker_beside(solves=1) if with_worker else nullcontext():
        Server(settings, bind=bind, threads=threads, workers=workers).run()


@main.command()
@click.option("--solves", type=click.IntRange(1, 64), default=1, show_default=True, help="Plans at a time.")
@click.option("--parent", type=int, hidden=True, help="End with the process of this number.")
def worker(solves: int, parent: int | None) -> None:
    """Run queued plans and whatever falls due (offers, holds) until interrupted; several may run."""
    from dispatch.worker import Worker

    settings = load_settings()
    configure(settings)
    running = Worker(settings, solves)
    for caught in (signal.SIGTERM, signal.SIGINT):
        signal.signal(caught, lambda *_: running.stop())
    running.run(parent)


@main.group(invoke_without_command=True)
@click.option("--organization", "slug", metavar="SLUG", help="Whose day; needed to plan one.")
@click.option("--territory", "name", metavar="NAME", help="Needed where there are several.")
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="In the territory's zone; by default tomorrow."
)
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(0.2, 3600), metavar="SECONDS")
@click.option(
    "--max-work",
    type=click.IntRange(1),
    metavar="ITERATIONS",
    help="Repeatable.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--max-moves",
    type=click.IntRange(0),
    metavar="VISITS",
    help="At most so many visits that stand in calendars get another technician or start.",
)
@click.option("--dry-run", is_flag=True, help="Apply nothing.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer, for programs.")
@click.pass_context
def plan(
    ctx: click.Context,
    slug: str | None,
    name: str | None,
    day: datetime | None,
    time_limit_s: float | None,
    max_work: int | None,
    seed: int,
    max_moves: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Plan a territory's day and promise its visits their windows; or do with a plan what a command below says."""
    from dispatch.replanning import PlanOptions, request_plan

    if ctx.invoked_subcommand is not None:
        return
    if slug is None:
        raise click.UsageError("say whose day to plan: --organization SLUG")
    with _session() as session:
        territory = _territory_named(session, slug, name)
        local_today = utc_now().astimezone(ZoneInfo(territory.time_zone)).date()
        options = PlanOptions(
            time_limit_s=time_limit_s, max_work=max_work, seed=seed, dry_run=dry_run, max_moves=max_moves
        )
        date_ = day.date() if day is not None else local_today + timedelta(days=1)
        run_id = request_plan(session, territory, date_, options, Actor("dispatcher"), utc_now()).id
    run = _run_with_progress(run_id)
    if run.status is not PlanStatus.DONE:
        raise click.ClickException(f"the plan {run.status.value}: {run.error or 'it was ended by somebody'}")
    if as_json:
        click.echo(json.dumps({"id": run.id, **(run.result or {})}, indent=2))
    else:
        _out.print(_plan_table(run))


@plan.command("replay")
@click.argument("plan_id")
def plan_replay(plan_id: str) -> None:
    """Solve again what the plan PLAN_ID was given, and tell whether the same plan comes of it; 1 if not."""
    from api.plan_replay import parts
    from dispatch.plan_input import kept_of, replay

    settings = load_settings()
    with _session() as session:
        kept = kept_of(session, settings, plan_id)
    found = replay(settings, kept)
    for part in parts(plan_id, found):
        _out.print(part)
    if found.differences:
        raise click.exceptions.Exit(1)


def _territory_named(session: Session, slug: str, name: str | None) -> Territory:
    found = territories(session, organization_by_slug(session, slug).id)
    chosen = [territory for territory in found if name in (None, territory.name)]
    if len(chosen) != 1:
        names = ", ".join(repr(territory.name) for territory in found) or "none"
        raise click.UsageError(f"say which territory: --territory NAME, of {names}")
    return chosen[0]


def _run_with_progress(run_id: str) -> PlanRun:
    from dispatch.worker import see_through

    settings = load_settings()
    engine = database.open_engine(settings.database_url)
    try:
        with Progress(console=_err, transient=True) as bar:
            task = bar.add_task("Planning", total=1.0)
            return see_through(
                engine, settings, run_id, lambda told: bar.update(task, completed=told.get("fraction", 0))
            )
    finally:
        engine.dispose()


def _plan_table(run: PlanRun) -> Table:
    result = run.result or {}
    table = Table("plan of", f"{run.day:%a %d %b %Y}", title_justify="left")
    table.add_row("id", run.id)
    for kind in ("assigned", "moved", "kept", "unassigned", "skipped_stale"):
        table.add_row(kind.replace("_", " "), str(len(result.get(kind, []))))
    figures = result.get("kpis", {})
    table.add_row(
        "travel", f"{figures.get('travel_m', 0) / 1000:,.0f} km, {figures.get('travel_s', 0) / 3600:,.0f} h"
    )
    table.add_row("technicians", str(figures.get("technicians", 0)))
    table.add_row("cost", f"{figures.get('cost_cents', 0) / 100:,.2f}")
    return table


@main.command()
@click.option("--organization", "slug", required=True, metavar="SLUG")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="By default 28 days up to --to.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="By default today.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def fairness(slug: str, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """How evenly hours and pay fell on the technicians, in all and by trade. Dates are their local ones, 92 at most.
    A Gini coefficient of 0 is the same for all, near 1 all for one."""
    from api.fairness import fairness_document, fairness_tables
    from dispatch.fairness import fairness_between

    with _session() as session:
        organization, now = organization_by_slug(session, slug), utc_now()
        to = last.date() if last is not None else now.astimezone(ZoneInfo(organization.time_zone)).date()
        from_ = first.date() if first is not None else to - timedelta(days=27)
        found = fairness_between(session, organization, from_, to, now)
        if as_json:
            click.echo(json.dumps(fairness_document(found), indent=2))
        else:
            _out.print(*fairness_tables(found), sep="\n")


@main.group()
def organizations() -> None:
    """The organizations of this installation."""


@organizations.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--currency", required=True, help="ISO 4217, such as USD.")
@click.option("--time-zone", required=True, help="IANA, such as America/New_York.")
def organizations_create(slug: str, name: str, currency: str, time_zone: str) -> None:
    """Add an organization, known as SLUG in addresses; prints its id."""
    with _session() as session:
        created = create_organization(
            session, slug=slug, name=name, currency=currency, time_zone=time_zone, now=utc_now()
        )
        click.echo(created.id)


@main.group("keys")
def keys_group() -> None:
    """The keys of dispatchers and integrations."""


_organization = click.option("--organization", "slug", required=True, metavar="SLUG")


@keys_group.command("create")
@_organization
@click.option("--role", type=click.Choice(["dispatcher", "integration"]), required=True)
def keys_create(slug: str, role: str) -> None:
    """Print a new key, alone. It is shown this once."""
    with _session() as session:
        organization = organization_by_slug(session, slug)
        chosen: keys.Role = "dispatcher" if role == "dispatcher" else "integration"
        _, plaintext = keys.issue_key(session, chosen, organization_id=organization.id, now=utc_now())
    click.echo(plaintext)


@keys_group.command("list")
@_organization
def keys_list(slug: str) -> None:
    """List the organization's keys by their beginning, with their last use."""
    table = Table("prefix", "role", "created", "last used", "state")
    with _session() as session:
        for key in _keys_of(session, slug):
            state = "revoked" if key.revoked_at else "good" if key.opens(utc_now()) else "expired"
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            table.add_row(key.prefix, key.role, f"{key.created_at:%Y-%m-%d %H:%M}", used, state)
    _out.print(table)


@keys_group.command("revoke")
@_organization
@click.argument("prefix")
def keys_revoke(slug: str, prefix: str) -> None:
    """Revoke the key that begins with PREFIX."""
    with _session() as session:
        found = [key for key in _keys_of(session, slug) if key.prefix == prefix]
        if not found:
            raise NotFound(detail=f"{slug} has no key that begins with {prefix}.")
        for key in found:
            keys.revoke(session, key, utc_now())
    click.echo(f"{prefix} opens nothing any more")


@main.command()
@_organization
@click.option("--train", is_flag=True, help="On all answers until now; the worker does so once a day.")
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw what was said against what happened: .png, .svg or .pdf.",
)
def acceptance(slug: str, train: bool, picture: Path | None) -> None:
    """Show how well it is foretold whether technicians accept what they are offered."""
    from api import acceptance_report
    from dispatch.acceptance import newest_training

    with _session() as session:
        organization_id = organization_by_slug(session, slug).id
    if train:
        _train_acceptance(organization_id)
    with _session() as session:
        training = newest_training(session, organization_id)
        for part in acceptance_report.parts(training):
            _out.print(part)
        if picture is not None:
            acceptance_report.draw(training, picture)


def _train_acceptance(organization_id: str) -> None:
    from dispatch.acceptance_training import train

    engine = database.open_engine(load_settings().database_url)
    try:
        train(engine, organization_id, utc_now())
    finally:
        engine.dispose()


@main.group()
def db() -> None:
    """The database's tables."""


@db.command("upgrade")
@click.argument("revision", default="head")
def db_upgrade(revision: str) -> None:
    """Bring the database up to date, or up to REVISION."""
    url = load_settings().database_url
    database.upgrade(url, revision)
    click.echo(f"at {database.current_revision(url) or 'base'}")


@db.command("downgrade")
@click.argument("revision")
def db_downgrade(revision: str) -> None:
    """Take the database back to REVISION (`base` empties it)."""
    url = load_settings().database_url
    database.downgrade(url, revision)
    click.echo(f"at {database.current_revision(url) or 'base'}")


@db.command("current")
def db_current() -> None:
    """Print the revision that the database is at."""
    click.echo(database.current_revision(load_settings().database_url) or "base")


@main.command("settings")
def settings_command() -> None:
    """List every setting: its environment variable, its value here, its meaning."""
    settings = load_settings()
    table = Table("setting", "value", "meaning")
    table.columns[0].no_wrap = True
    for name, field in Settings.model_fields.items():
        table.add_row(f"{PREFIX}{name.upper()}", _shown(getattr(settings, name)), field.description)
    _out.print(table)


@contextmanager
def _session() -> Iterator[Session]:
    """A transaction on the configured database; a database without tables gets them first."""
    METADATA.sorted_tables  # noqa: B018  foreign keys find their tables once all are imported, or fail here
    url = load_settings().database_url
    if database.current_revision(url) is None:
        database.upgrade(url)
    engine = database.open_engine(url)
    try:
        with database.transaction(engine) as session:
            if not database.is_up_to_date(session):
                raise click.ClickException("the database is of another version: run `dispatch db upgrade`")
            yield session
    finally:
        engine.dispose()


def _keys_of(session: Session, slug: str) -> list[ApiKey]:
    organization = organization_by_slug(session, slug)
    belongs = col(ApiKey.organization_id) == organization.id
    of_people = col(ApiKey.role).in_(["dispatcher", "integration"])
    return list(session.exec(select(ApiKey).where(belongs, of_people).order_by(col(ApiKey.created_at))))


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(not set)"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "-"
    if isinstance(value, str) and "://" in value and "@" in value:
        return make_url(value).render_as_string(hide_password=True)
    return "-" if value is None else str(value)


def _warn_of_sqlite(settings: Settings) -> None:
    if settings.database_url.startswith("sqlite") and sqlite3.sqlite_version_info < database.SAFE_SQLITE:
        least = ".".join(str(part) for part in database.SAFE_SQLITE)
        _err.print(
            f"SQLite {sqlite3.sqlite_version} has a rare fault in its write-ahead log, mended in {least}; "
            "for data that matters take a newer one or PostgreSQL.",
            highlight=False,
        )


if __name__ == "__main__":
    main()
