"""Column types that the tables share."""

from enum import StrEnum

from sqlalchemy import Enum


def enum_type(of: type[StrEnum]) -> Enum:
    """A text column that stores the members' values and refuses all else when written from Python."""
    return Enum(of, values_callable=lambda e: [member.value for member in e], native_enum=False, length=24)
