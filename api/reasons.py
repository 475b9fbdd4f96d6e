"""Reasons, in the one form in which they are told everywhere."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from pydantic import StringConstraints

from api import context
from api.schemas import ReasonOut
from optimizer import Reason

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
"""What somebody gives as the reason, in words."""


def reasons_out(reasons: Iterable[Reason]) -> list[ReasonOut]:
    """To the organization with the technicians whom they concern, to others without."""
    names = context.principal().role in ("dispatcher", "integration")
    return named_reasons(reasons if names else (replace(reason, technicians=()) for reason in reasons))


def named_reasons(reasons: Iterable[Reason]) -> list[ReasonOut]:
    """With the technicians whom they concern, for the organization."""
    return [
        ReasonOut(
            code=reason.code,
            detail=reason.detail,
            technicians=list(reason.technicians) or None,
            by=reason.by,
        )
        for reason in reasons
    ]
