"""Phone numbers and e-mail addresses as they are kept: one way of writing each, without asking any network."""

from functools import cache
from importlib.resources import files

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from dispatch.errors import Invalid


def phone_number(text: str, time_zone: str, field: str = "phone") -> str:
    """The number in E.164, such as +12125550123. One in national form is read as of the country that the tz database
    lists for the zone; where it lists none, only the international form is taken. The length has to be possible in
    the country; whether the range is in use is not asked, for ranges are opened faster than any table of them. Raises
    `Invalid`, also for an extension, which E.164 does not know."""
    region = _countries().get(time_zone)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise Invalid(errors=[(field, "is no phone number; write it as +12125550123")]) from error
    if number.extension is not None:
        raise Invalid(errors=[(field, "must not have an extension")])
    if not phonenumbers.is_possible_number(number):
        raise Invalid(errors=[(field, "has too few or too many digits for its country")])
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def email_address(text: str, field: str = "email") -> str:
    """The address with its domain in lower case; the domain `test` (RFC 6761) is taken, for trying things out. Raises
    `Invalid` where it cannot be one by its form."""
    try:
        return validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid(errors=[(field, f"is no e-mail address: {error}")]) from error


@cache
def _countries() -> dict[str, str]:
    """Country by zone, from the tz database's zone.tab (columns: country, coordinates, zone, comment)."""
    table = files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}
