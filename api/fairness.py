"""What `dispatch fairness` prints: tables for people, a document for programs."""

from typing import Any

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
    """Everybody, then a line for each trade."""
    currency = found.organization.currency
    title = f"{found.organization.name}, {found.first:%d %b %Y} to {found.last:%d %b %Y}"
    people = Table("technician", "kind", *_FIGURES, title=title, title_justify="left")
    for share in found.total.shares:
        people.add_row(share.technician_name, share.kind.value, *_figures([share], currency))
    people.add_section()
    people.add_row("all", "", *_figures(found.total.shares, currency))
    trades = Table("trade", "technicians", *_FIGURES, "Gini of hours", "Gini of pay")
    for trade, own in [*found.trades.items(), ("all", found.total)]:
        coefficients = _shown(own.gini_of_hours), _shown(own.gini_of_pay)
        trades.add_row(trade, str(len(own.shares)), *_figures(own.shares, currency), *coefficients)
    for table in (people, trades):
        for column in table.columns[2:]:
            column.justify = "right"
    return [people, trades]


_FIGURES = ("visits", "hours", "travel", "pay", "pay per active hour", "offers", "accepted")


def _figures(shares: Any, currency: str) -> list[str]:
    paid = [share for share in shares if share.kind.is_asked]
    pay, active_s = sum(share.pay_cents for share in paid), sum(share.active_s for share in paid)
    return [
        f"{sum(share.visits for share in shares)}",
        f"{sum(share.visit_s for share in shares) / 3600:.1f} h",
        f"{sum(share.travel_s for share in shares) / 3600:.1f} h",
        f"{pay / 100:,.2f} {currency}" if paid else "-",
        f"{pay * 36 / active_s:,.2f} {currency}" if active_s else "-",
        f"{sum(share.offers_received for share in shares)}",
        f"{sum(share.offers_accepted for share in shares)}",
    ]


def _shown(coefficient: float | None) -> str:
    return "-" if coefficient is None else f"{coefficient:.2f}"
