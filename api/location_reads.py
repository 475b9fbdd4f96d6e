"""Who is shown where a technician is: noted once the answer stands and before it leaves."""

from typing import cast

from flask import Flask, current_app

from api import context
from dispatch.access import actor_of
from dispatch.location_read import LocationReads, Whereabouts

EXTENSION = "dispatch.location_reads"


def location_reads_of(app: Flask) -> LocationReads:
    """Where an application keeps them."""
    return cast(LocationReads, app.extensions[EXTENSION])


def note_shown(*shown: Whereabouts | None) -> None:
    """To be called by every view that gives positions away, None where it shows none. If that cannot be kept, the
    answer is 503 and shows nothing."""
    given = [whereabouts for whereabouts in shown if whereabouts is not None]
    reads, by, now = location_reads_of(current_app), actor_of(context.principal()), context.now()
    if given:
        context.after_commit(lambda: reads.note(given, by, now))
