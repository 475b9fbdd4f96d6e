"""The languages of the customer's pages: which one, its sentences, and how it writes days, times, lengths and money.

A language is a file in `locale`, which holds forms (as the Unicode CLDR gives them) and sentences by key, with places
for what changes in braces."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from api.pages.words import told_time

LOCALE = Path(__file__).with_name("locale")
CODES = ("en", "de", "es", "pl", "ru", "fa", "zh")
"""In the order in which they are offered; the first is for whoever wants none of them."""

_DIGITS = "0123456789"
_ISOLATE = "\u2068{}\u2069"
"""First strong isolate (Unicode Standard Annex 9): a Latin name does not turn the sentence around it."""
_MINOR_DIGITS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""How many digits the minor unit of a currency has, by ISO 4217, where they are not two."""


class Language(BaseModel):
    """One language. day, day_and_month, window, moment, day_and_window, zone, hours, minutes, metres, kilometres and
    money are forms with places in braces; symbols: of currencies, others are called by their code; direction: ltr or
    rtl."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    name: str
    direction: str
    digits: str
    weekdays: Sequence[str]
    months: Sequence[str]
    day: str
    day_and_month: str
    hours_of_clock: int
    window: str
    moment: str
    day_and_window: str
    zone: str
    hours: str
    minutes: str
    metres: str
    kilometres: str
    money: str
    decimal: str
    thousands: str
    symbols: Mapping[str, str]
    strings: Mapping[str, str]

    def say(self, key: str, /, **values: Any) -> str:
        """The sentence of this key."""
        if self.direction == "rtl":
            values = {name: _ISOLATE.format(value) for name, value in values.items()}
        return self.strings[key].format(**values)

    def number(self, number: int | str) -> str:
        """Digits as the language writes them."""
        return str(number).translate(str.maketrans(_DIGITS, self.digits))

    def told_day(self, day: date) -> str:
        """Tuesday, 2 March 2027."""
        return self.day.format(
            weekday=self.weekdays[day.weekday()],
            day=self.number(day.day),
            month=self.months[day.month - 1],
            year=self.number(day.year),
        )

    def told_time(self, local: datetime) -> str:
        """2:05 pm, or 14:05."""
        return told_time(local) if self.hours_of_clock == 12 else self.number(f"{local.hour}:{local:%M}")

    def told_window(self, window: tuple[datetime, datetime], zone: ZoneInfo) -> str:
        """2–4 pm, 11 am–1 pm, 14:00–16:00, on the walls of the zone; never broken over lines."""
        begins, ends = (instant.astimezone(zone) for instant in window)
        start, end = self.told_time(begins), self.told_time(ends)
        if self.hours_of_clock == 12 and begins.hour // 12 == ends.hour // 12:
            start = start.rpartition(" ")[0]
        return self.window.format(start=start, end=end).replace(" ", "\N{NO-BREAK SPACE}")

    def told_visit(self, window: tuple[datetime, datetime], zone: ZoneInfo) -> str:
        """Tuesday, 2 March 2027, 2–4 pm."""
        day = self.told_day(window[0].astimezone(zone).date())
        return self.day_and_window.format(day=day, window=self.told_window(window, zone))

    def told_moment(self, instant: datetime, zone: ZoneInfo) -> str:
        """Tuesday, 2 March 2027, 2 pm."""
        local = instant.astimezone(zone)
        return self.moment.format(day=self.told_day(local.date()), time=self.told_time(local))

    def told_lately(self, instant: datetime, zone: ZoneInfo) -> str:
        """2 March, 2 pm: of what is not long ago."""
        local = instant.astimezone(zone)
        day = self.day_and_month.format(day=self.number(local.day), month=self.months[local.month - 1])
        return self.moment.format(day=day, time=self.told_time(local))

    def told_zone(self, instant: datetime, zone: ZoneInfo) -> str:
        """New York time (EST)."""
        short = instant.astimezone(zone).tzname() or zone.key
        short = f"UTC{short}" if short[:1] in "+-" else short
        return self.zone.format(city=zone.key.rsplit("/", 1)[-1].replace("_", " "), short=short)

    def told_length(self, seconds: int) -> str:
        """24 h, 1 h 30 min, 45 min."""
        hours, minutes = divmod((seconds + 30) // 60, 60)
        parts = [self.hours.format(count=self.number(hours))] if hours else []
        if minutes or not hours:
            parts.append(self.minutes.format(count=self.number(minutes)))
        return " ".join(parts)

    def told_distance(self, metres: float) -> str:
        """350 m, 2.5 km, 12 km."""
        if metres < 950:
            return self.metres.format(count=self.number(round(metres / 10) * 10))
        kilometres = f"{metres / 1000:.1f}".removesuffix(".0") if metres < 9_950 else f"{metres / 1000:.0f}"
        return self.kilometres.format(count=self.number(kilometres.replace(".", self.decimal)))

    def told_money(self, amount: int, currency: str) -> str:
        """$40, $12.50; amount: in minor units."""
        places = _MINOR_DIGITS.get(currency, 2)
        whole, rest = divmod(amount, 10**places)
        number = f"{whole:,}".replace(",", self.thousands)
        number += f"{self.decimal}{rest:0{places}}" if rest else ""
        symbol = self.symbols.get(currency, f"{currency} " if self.money.startswith("{symbol}") else currency)
        return self.money.format(number=self.number(number), symbol=symbol).replace(" ", "\N{NO-BREAK SPACE}")

    def read_money(self, typed: str, currency: str) -> int | None:
        """What was typed as an amount, in minor units: 90, 90.50, 90,50 or 1,250.50, with or without the currency. None
        for anything else, also for what might mean two amounts."""
        places = _MINOR_DIGITS.get(currency, 2)
        for sign in (currency, self.symbols.get(currency, "")):
            typed = typed.removeprefix(sign.strip()).removesuffix(sign.strip()).strip()
        plain = typed.translate(str.maketrans(self.digits, _DIGITS)).replace("\N{NO-BREAK SPACE}", " ")
        grouped = r"\d{1,3}(?:(?P<mark>[ .,٬])\d{3})(?:(?P=mark)\d{3})*"
        whole = rf"\d+|{grouped}" if places == 3 else rf"{grouped}|\d+"
        found = re.fullmatch(rf"(?P<whole>{whole})(?:(?P<point>[.,٫])(?P<rest>\d+))?", plain, re.ASCII)
        if found is None or found["mark"] in (found["point"] or "none", self.decimal):
            return None
        digits, rest = re.sub(r"\D", "", found["whole"]), found["rest"] or ""
        return int(digits + rest.ljust(places, "0")) if len(rest) <= places else None


@cache
def language_of(code: str) -> Language:
    """The language of one of `CODES`."""
    held = json.loads((LOCALE / f"{code}.json").read_text(encoding="utf-8"))
    return Language(code=code, **held)


def known_code(tag: str | None) -> str | None:
    """Which of `CODES` a BCP 47 tag such as de-AT means; None for another language."""
    base = (tag or "").partition("-")[0].lower()
    return base if base in CODES else None
