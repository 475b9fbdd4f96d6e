"""Money as it comes in: whole minor units of a currency that has to be the organization's."""

from typing import Protocol

from dispatch.errors import Invalid


class Amount(Protocol):
    @property
    def amount(self) -> int: ...
    @property
    def currency(self) -> str: ...


def cents(money: Amount | None, currency: str, field: str) -> int | None:
    """The amount, in minor units of the organization's `currency`. Raises `Invalid` for any other currency."""
    if money is None:
        return None
    if money.currency != currency:
        raise Invalid(errors=[(f"{field}.currency", f"must be {currency}, as in all of the organization")])
    return money.amount


def per_hour_cents(pay_cents: int, seconds: int) -> int:
    """What a pay comes to for each hour of the time that it is for."""
    return round(pay_cents * 3600 / max(1, seconds))
