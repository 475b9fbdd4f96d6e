"""Looks through the database for what must never be, by SQL of its own: nothing here is shared with the code that wrote
it. Nobody is in two places; every window that was promised ended once, as kept, broken, changed or withdrawn; and what
the ledger calls kept is what the simulated world saw."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import Connection, text

BLOCKS = "SELECT technician_no, busy_from, busy_to, appointment_id FROM calendar_block"
LEDGER = "SELECT appointment_id, kind FROM promise ORDER BY id"

BEGINS = ("given", "changed")


class Block(NamedTuple):
    """Time that is taken in somebody's calendar."""

    technician: int
    busy_from: int
    busy_to: int
    appointment_id: str | None


class Line(NamedTuple):
    """Of the ledger of promises."""

    appointment_id: str
    kind: str


def read(connection: Connection) -> tuple[list[Block], list[Line]]:
    """All that is in the database."""
    blocks = [Block(*row) for row in connection.execute(text(BLOCKS))]
    return blocks, [Line(*row) for row in connection.execute(text(LEDGER))]


def overlaps(blocks: Iterable[Block]) -> Iterator[str]:
    """Who is in two places."""
    for one, next_ in pairwise(sorted(blocks, key=lambda block: block[:3])):
        if one.technician == next_.technician and next_.busy_from < one.busy_to:
            yield (
                f"technician {one.technician} is at {one.appointment_id} and {next_.appointment_id} "
                f"at {next_.busy_from}"
            )


def unsettled(ledger: Sequence[Line], served_in_time: Mapping[str, bool]) -> Iterator[str]:
    """Promises that did not end once, or not as the world saw it. served_in_time: by appointment whose window has
    passed, whether somebody was there in time."""
    lines: dict[str, list[str]] = {}
    for line in ledger:
        lines.setdefault(line.appointment_id, []).append(line.kind)
    for appointment_id, was_kept in served_in_time.items():
        kinds = lines.get(appointment_id, [])
        ends = Counter(kinds)
        began = ends["given"] + ends["changed"]
        ended = ends["kept"] + ends["broken"] + ends["withdrawn"] + ends["changed"]
        if ends["given"] != 1 or began != ended:
            yield f"{appointment_id} stands in the ledger as {', '.join(kinds) or 'nothing'}"
        elif ends["withdrawn"] == 0 and (kinds[-1] == "kept") != was_kept:
            yield f"{appointment_id} is {kinds[-1]} in the ledger; somebody was there in time: {was_kept}"
