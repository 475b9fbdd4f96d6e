"""Key figures: what was served, kept, taken, driven and said, over days, territories and services."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from api import context
from api.auth import allow
from api.csv_answer import MEDIA_TYPE, csv_answer
from api.openapi import also_answers, resource
from api.render import answer
from api.schemas import Answer, Change, Day, Query, absent
from dispatch.access import own_organization
from dispatch.kpis import By, Figures, Group, Tally, figures, mean, middle, nine_tenths, share
from dispatch.organization import Organization
from dispatch.promise import PromiseKind

kpis = resource("kpis", "Key figures over days, territories and services.")

USUAL_DAYS = 28


class ShareOut(Answer):
    """`count` of `n`. share: null where n is 0."""

    share: float | None
    count: int
    n: int

    @classmethod
    def of_counts(cls, count: int, n: int) -> Self:
        """With the share."""
        return cls(share=share(count, n), count=count, n=n)


class ReasonCount(Answer):
    """reason: as it was said, in lower case; null for all that are too rare to be named."""

    reason: str | None
    count: int


class CannotCompleteOut(Answer):
    """Visits to which somebody came in vain, nobody at home included, by the reason that was given."""

    count: int
    reasons: list[ReasonCount]


class TimeToFill(Answer):
    """Of the n rounds of offers that somebody took: from the round's beginning to the acceptance. p90: nine of ten took
    no longer (nearest rank)."""

    median_s: int | None
    p90_s: int | None
    n: int


class OfferFigures(Answer):
    """Offers sent on these days. answered: accepted, declined or countered. acceptance: accepted of answered; of_sent:
    accepted of sent."""

    sent: int
    answered: int
    accepted: int
    acceptance: float | None
    of_sent: float | None


class HoursFigures(Answer):
    """Of the hours of the n shifts, until now and without breaks: the share at customers, and the share of planned
    travel to them. For visits and technicians of this organization alone. Null by service: hours are nobody's service.
    """

    share: float | None
    travel_share: float | None
    work_s: int
    travel_s: int
    shift_s: int
    n: int


class TravelFigures(Answer):
    """The planned way to each of the n visits that ended, on average."""

    mean_s: float | None
    mean_m: float | None
    n: int


class CsatOut(Answer):
    """Satisfaction, 1 to 5. share: of the answers 4 and 5."""

    share: float | None
    mean: float | None
    n: int


class CesOut(Answer):
    """Ease, 1 to 7."""

    mean: float | None
    n: int


class NpsOut(Answer):
    """Would recommend, 0 to 10. score: from -100 to 100, per cent of 9 and 10 less per cent of 0 to 6."""

    score: float | None
    n: int


class OverrideFigures(Answer):
    """What dispatchers decided against the plan, and what the n of them whose price was recorded cost in all: negative
    where they saved. forced: against a rule."""

    count: int
    forced: int
    extra_travel_s: int | None
    extra_cost: Change | None
    n: int


class PromiseFigures(Answer):
    """Lines of the ledger whose window begins on these days. kept_share: kept of kept and broken; n: both."""

    given: int
    changed: int
    kept: int
    broken: int
    withdrawn: int
    kept_share: float | None
    n: int


class FiguresOut(Answer):
    """served: visits completed. on_time: of the visits that ended and had a window, those whose work began inside it.
    first_time_fix: of visits completed for the first time, follow-ups of others apart, those to which nobody came in
    vain before, that were not reopened and that no other visit has to follow. late_told: visits that somebody
    foresaw to be late, which their customers are told. unassigned: visits without a technician now whose window begins,
    or that are due, on these days."""

    served: int
    cannot_complete: CannotCompleteOut
    unassigned: int
    late_told: int
    on_time: ShareOut
    first_time_fix: ShareOut
    time_to_fill: TimeToFill
    offers: OfferFigures
    utilisation: HoursFigures
    travel_per_visit: TravelFigures
    csat: CsatOut
    ces: CesOut
    nps: NpsOut
    overrides: OverrideFigures
    promises: PromiseFigures

    @classmethod
    def of(cls, tally: Tally, currency: str) -> Self:
        """With shares and means."""
        return cls(
            served=tally.served,
            cannot_complete=CannotCompleteOut(
                count=tally.not_completed.total(),
                reasons=[ReasonCount(reason=reason, count=count) for reason, count in tally.reasons()],
            ),
            unassigned=tally.unassigned,
            late_told=tally.late_told,
            on_time=ShareOut.of_counts(tally.begun_on_time, tally.begun),
            first_time_fix=ShareOut.of_counts(tally.fixed, tally.first_completions),
            time_to_fill=TimeToFill(
                median_s=middle(tally.fill_s), p90_s=nine_tenths(tally.fill_s), n=len(tally.fill_s)
            ),
            offers=OfferFigures(
                sent=tally.offers_sent,
                answered=tally.offers_answered,
                accepted=tally.offers_accepted,
                acceptance=share(tally.offers_accepted, tally.offers_answered),
                of_sent=share(tally.offers_accepted, tally.offers_sent),
            ),
            utilisation=HoursFigures(
                share=share(tally.work_s, tally.shift_s),
                travel_share=share(tally.shift_travel_s, tally.shift_s),
                work_s=tally.work_s,
                travel_s=tally.shift_travel_s,
                shift_s=tally.shift_s,
                n=tally.shifts,
            ),
            travel_per_visit=TravelFigures(
                mean_s=_each(tally.travel_s, tally.travelled),
                mean_m=_each(tally.travel_m, tally.travelled),
                n=tally.travelled,
            ),
            csat=CsatOut(
                share=share(tally.satisfied, len(tally.csat)), mean=mean(tally.csat), n=len(tally.csat)
            ),
            ces=CesOut(mean=mean(tally.ces), n=len(tally.ces)),
            nps=NpsOut(score=tally.nps_score, n=len(tally.nps)),
            overrides=OverrideFigures(
                count=tally.overrides,
                forced=tally.overrides_forced,
                extra_travel_s=tally.extra_travel_s if tally.overrides_priced else None,
                extra_cost=Change(amount=tally.extra_cost_cents, currency=currency)
                if tally.overrides_priced
                else None,
                n=tally.overrides_priced,
            ),
            promises=_promises(tally),
        )


def _each(total: int, n: int) -> float | None:
    return round(total / n, 1) if n else None


def _promises(tally: Tally) -> PromiseFigures:
    counted = {kind.value: tally.promises[kind] for kind in PromiseKind}
    n = counted["kept"] + counted["broken"]
    return PromiseFigures(**counted, kept_share=share(counted["kept"], n), n=n)


class NamedGroup(Answer):
    """A territory or a service."""

    id: str
    name: str


class GroupOut(FiguresOut):
    """The figures of one day, territory or service, or of what was asked together."""

    day: Day | None = Field(None, exclude_if=absent)
    territory: NamedGroup | None = Field(None, exclude_if=absent)
    service: NamedGroup | None = Field(None, exclude_if=absent)

    @classmethod
    def of_group(cls, group: Group, tally: Tally, currency: str) -> Self:
        """With what it is of."""
        named = {name: getattr(group, name) for name in ("day", "territory", "service")}
        return cls.model_validate(FiguresOut.of(tally, currency).model_dump() | named)


class KpisOut(Answer):
    """The figures of all days together, and divided as was asked. By one of day, territory and service, all of them are
    there; by several, those in which something was counted."""

    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)

    from_: Day = Field(alias="from")
    to: Day
    total: FiguresOut
    groups: list[GroupOut]

    @classmethod
    def of(cls, found: Figures, currency: str) -> Self:
        """With their money."""
        return cls(
            from_=found.from_,
            to=found.to,
            total=FiguresOut.of(found.total, currency),
            groups=[GroupOut.of_group(group, tally, currency) for group, tally in found.groups],
        )


class KpiQuery(Query):
    """Local dates of each territory, both included, 92 days at most; by default four weeks up to today. by: any of
    `day`, `territory` and `service`, with commas between; without, the total alone. format: `csv`, as does
    `Accept: text/csv`, for a line a group."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    by: Annotated[str | None, Field(max_length=40, examples=["day,service"])] = None
    format: Literal["json", "csv"] | None = None

    @field_validator("by")
    @classmethod
    def _known(cls, by: str | None, info: ValidationInfo) -> str | None:
        named = by.split(",") if by is not None else []
        if len(set(named)) < len(named) or not set(named) <= set(By):
            raise ValueError("must be of day, territory and service, each once, with commas between")
        return by

    def divided(self) -> list[By]:
        """As the verb takes it."""
        return [By(name) for name in self.by.split(",")] if self.by is not None else []


def asked_figures(organization: Organization, query: KpiQuery) -> Figures:
    """What the query asks for, of the caller's organization."""
    last = query.to or organization.today(context.now())
    first = query.from_ or last - timedelta(days=USUAL_DAYS - 1)
    return figures(context.session(), organization, first, last, query.divided(), context.now())


@kpis.get("/kpis", summary="Read key figures", responses={200: KpisOut})
@also_answers(MEDIA_TYPE, "day,served,cannot_complete,unassigned\r\n2027-03-03,41,2,0\r\n")
@allow("dispatcher", limit="60/minute")
def read(query: KpiQuery) -> Response:
    """Each figure comes with the number it was counted from, and is null where that is 0."""
    organization = own_organization(context.session(), context.principal())
    found = asked_figures(organization, query)
    if _wants_csv(query):
        return kpis_csv(found, organization.currency)
    response = answer(KpisOut.of(found, organization.currency))
    response.vary.add("Accept")
    return response


def _wants_csv(query: KpiQuery) -> bool:
    if query.format is not None:
        return query.format == "csv"
    return request.accept_mimetypes.best_match(["application/json", MEDIA_TYPE]) == MEDIA_TYPE


# CSV


def kpis_csv(found: Figures, currency: str) -> Response:
    """A line a group, or the total where nothing divides it."""
    groups = found.groups if found.by else ((Group(), found.total),)
    shown = [_flat(group, tally, found.by, currency) for group, tally in groups]
    columns = list(shown[0]) if shown else list(_flat(Group(), Tally(), found.by, currency))
    lines = ([line[column] for column in columns] for line in shown)
    response = csv_answer(f"kpis-{found.from_}-{found.to}.csv", columns, lines)
    response.vary.add("Accept")
    return response


def _flat(group: Group, tally: Tally, by: Sequence[By], currency: str) -> dict[str, object]:
    """Columns are named by the path of the figure in JSON."""
    line: dict[str, object] = {}
    if By.DAY in by:
        line["day"] = group.day.isoformat() if group.day is not None else None
    for name, named in (("territory", group.territory), ("service", group.service)):
        if By(name) in by:
            line[f"{name}_id"] = named.id if named is not None else None
            line[name] = named.name if named is not None else None
    figures_of = FiguresOut.of(tally, currency)
    return line | dict(_cells(figures_of)) | {"currency": currency}


def _cells(shown: BaseModel, path: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(shown).model_fields:
        value, column = getattr(shown, name), f"{path}{name}"
        if isinstance(shown, CannotCompleteOut):
            column = path.rstrip("_") if name == "count" else column
        if isinstance(value, list):
            yield column, "; ".join(f"{each.reason or 'other reasons'}: {each.count}" for each in value)
        elif name == "extra_cost":
            yield column, value.amount if value is not None else None
        elif isinstance(value, BaseModel):
            yield from _cells(value, f"{column}_")
        else:
            yield column, value
