"""What `dispatch plan replay` shows."""

from collections.abc import Iterator

from rich.table import Column, Table

from dispatch.plan_input import Difference, Replay

MOST_SHOWN = 50
"""Differences; of more, the number is told."""


def parts(plan_id: str, found: Replay) -> Iterator[Table | str]:
    """Whether it is the same plan, what it was made of, and what differs."""
    verdict = f"{len(found.differences)} differences" if found.differences else "the same plan"
    table = Table("replay of", plan_id, title_justify="left")
    table.add_row("comes to", verdict)
    table.add_row("visits", f"{found.visits:,}")
    table.add_row("iterations", f"{found.iterations:,} in {found.solves} search{'es' * (found.solves > 1)}")
    table.add_row("kept", f"{found.bytes_kept:,} bytes")
    table.add_row("travel", "as it was" if found.has_same_travel else "other than it was")
    table.add_row("versions", "as they were" if not found.versions else "differ")
    yield table
    if found.versions:
        yield _differences("version of", found.versions)
    if found.differences:
        yield _differences("visit or term", found.differences[:MOST_SHOWN])
    if len(found.differences) > MOST_SHOWN:
        yield f"and {len(found.differences) - MOST_SHOWN} more"


def _differences(what: str, differences: tuple[Difference, ...]) -> Table:
    table = Table(Column(what, no_wrap=True), "kept", "now")
    for difference in differences:
        table.add_row(difference.what, difference.kept, difference.now)
    return table
