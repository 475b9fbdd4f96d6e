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
