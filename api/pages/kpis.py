"""`/board/kpis`: key figures of many days, drawn and as a table, for dispatchers."""

from collections.abc import Mapping
from urllib.parse import urlencode

from flask import Response, request, url_for
from pydantic import ValidationError

from api import context
from api.auth import PUBLIC, allow
from api.kpis import KpiQuery, asked_figures
from api.pages.board import to_login
from api.pages.figures import HEIGHT, MEASURES, Measure, charts, counted, label, short_day
from api.pages.site import page, pages
from api.problems import invalid
from dispatch.access import own_organization
from dispatch.kpis import By, Figures, Tally

SHOWN = 12
"""Measures that stand above the drawings."""
DIVIDED: Mapping[By, str] = {By.DAY: "Day", By.TERRITORY: "Territory", By.SERVICE: "Service"}


@pages.get("/board/kpis")
@allow(PUBLIC)
def show_kpis() -> Response:
    """Of the days `from` to `to` (by default four weeks up to today), divided `by` day, territory or service."""
    principal = context.principal()
    if principal.role != "dispatcher" or principal.organization_id is None:
        return to_login()
    organization, query = own_organization(context.session(), principal), _query()
    found = asked_figures(organization, query)
    (by,) = found.by
    asked = {"from": found.from_.isoformat(), "to": found.to.isoformat(), "by": by.value, "format": "csv"}
    return page(
        "kpis.html",
        organization=organization,
        first=found.from_,
        last=found.to,
        told=f"{short_day(found.from_)} to {short_day(found.to)} {found.to.year}",
        by=by,
        choices=list(DIVIDED.items()),
        cards=[_card(measure, found.total, organization.currency) for measure in MEASURES[:SHOWN]],
        charts=charts(found, organization.currency),
        height=HEIGHT,
        are_days=by is By.DAY,
        measures=MEASURES,
        rows=_rows(found, organization.currency),
        reasons=[(reason, counted(count, "visit")) for reason, count in found.total.reasons()],
        csv=f"{url_for('kpis.read')}?{urlencode(asked)}",
    )


def _query() -> KpiQuery:
    """What the form sends; a field that is left empty is not sent."""
    given = {name: value for name, value in request.args.items() if value}
    try:
        query = KpiQuery.model_validate({"by": By.DAY.value} | given)
    except ValidationError as error:
        raise invalid(error) from error
    if len(query.divided()) != 1:
        query.by = By.DAY.value
    return query


def _card(measure: Measure, tally: Tally, currency: str) -> tuple[str, str, str]:
    """Name, value, what it was counted from."""
    return measure.name, *measure.words(tally, currency)


def _rows(found: Figures, currency: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """A line a group, and one of all: each value and what it was counted from."""
    lines = [(label(group), tally) for group, tally in found.groups]
    return [
        (name, [measure.words(tally, currency) for measure in MEASURES])
        for name, tally in [*lines, ("All", found.total)]
    ]
