"""What `dispatch fairness` prints: tables for people, a document for programs."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from dispatch.fairness import Distribution, Fairness, Share


def fairness_document(found: Fairness) -> dict[str, Any]:
    """Durations in seconds, money in minor units; a coefficient is null where nobody has anything."""
    currency = found.organization.currency
    return {
        "organization": found.organization.slug,
        "from": found.first.isoformat(),
        "to": found.last.isoformat(),
        **_distribution(found.total, currency),
        "trades": [{"trade": trade, **_distribution(own, currency)} for trade, own in found.trades.items()],
    }


def _distribution(spread: Distribution, currency: str) -> dict[str, Any]:
    return {
        "gini": {"hours": _rounded(spread.gini_of_hours), "pay": _rounded(spread.gini_of_pay)},
        "technicians": [_share(share, currency) for share in spread.shares],
    }


def _share(share: Share, currency: str) -> dict[str, Any]:
    def money(amount: int | None) -> dict[str, Any] | None:
        return None if amount is None else {"amount": amount, "currency": currency}

    return {
        "technician_id": share.technician_id,
        "technician_name": share.technician_name,
        "kind": share.kind.value,
        "visits": share.visits,
        "visit_s": share.visit_s,
        "travel_s": share.travel_s,
        "active_s": share.active_s,
        "pay": money(share.pay_cents),
        "pay_per_active_hour": money(share.pay_per_active_hour_cents),
        "offers_received": share.offers_received,
        "offers_accepted": share.offers_accepted,
    }


def _rounded(coefficient: float | None) -> float | None:
    return None if coefficient is None else round(coefficient, 3)


def fairness_tables(found: Fairness) -> list[Table]:
    """Everybody, then a line for each trade. They fit a terminal of 80 columns."""
    title = f"{found.organization.name}, {found.first:%d %b %Y} to {found.last:%d %b %Y}"
    currency = found.organization.currency
    people = _table("technician", "visits", "hours", "travel", currency, "per hour", "offers", "accepted")
    people.title, people.title_justify = title, "left"
    for share in found.total.shares:
        people.add_row(share.technician_name, *_figures([share]))
    trades = _table("trade", "who", "active h", currency, "per hour", "offers", "Gini of h", "of pay")
    for trade, own in [*found.trades.items(), ("all", found.total)]:
        pay, per_hour, offers = _figures(own.shares)[3:6]
        active = f"{sum(share.active_s for share in own.shares) / 3600:.1f}"
        coefficients = _shown(own.gini_of_hours), _shown(own.gini_of_pay)
        trades.add_row(trade, str(len(own.shares)), active, pay, per_hour, offers, *coefficients)
    trades.caption = "per hour: of visit and travel. Gini: 0 the same for all, near 1 all for one."
    return [people, trades]


def _table(first: str, *figures: str) -> Table:
    table = Table(first, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(shares: Sequence[Share]) -> list[str]:
    """Visits, hours at them, hours of travel, pay, pay for each of these hours, offers received and accepted."""
    paid = [share for share in shares if share.kind.is_asked]
    pay, active_s = sum(share.pay_cents for share in paid), sum(share.active_s for share in paid)
    return [
        f"{sum(share.visits for share in shares)}",
        f"{sum(share.visit_s for share in shares) / 3600:.1f}",
        f"{sum(share.travel_s for share in shares) / 3600:.1f}",
        f"{pay / 100:,.2f}" if paid else "-",
        f"{pay * 36 / active_s:,.2f}" if active_s else "-",
        f"{sum(share.offers_received for share in shares)}",
        f"{sum(share.offers_accepted for share in shares)}",
    ]


def _shown(coefficient: float | None) -> str:
    return "-" if coefficient is None else f"{coefficient:.2f}"
