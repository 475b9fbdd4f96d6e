"""What customers read, in their language: a catalogue for each in `locale/`, times by the wall clock of a zone.

A catalogue has a subject and a body for every kind of message, lines that follow them, names of days and months, and
counted nouns in the plural forms of its language (CLDR, Language Plural Rules).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

LOCALE = Path(__file__).with_name("locale")
LANGUAGES = ("en", "de", "es", "pl", "ru", "fa", "zh")
DEFAULT = "en"
STEP = timedelta(minutes=5)
"""What is only expected is told no more finely."""
_ISOLATE = "\u2068{}\u2069"
"""First strong isolate (Unicode Standard Annex 9): a name in the other direction does not turn the sentence around
it."""


def _one_other(n: int) -> str:
    return "one" if n == 1 else "other"


def _polish(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


def _russian(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


PLURAL: Mapping[str, Callable[[int], str]] = {
    "en": _one_other,
    "de": _one_other,
    "es": _one_other,
    "fa": lambda n: "one" if n in (0, 1) else "other",
    "pl": _polish,
    "ru": _russian,
    "zh": lambda _: "other",
}
"""The form for a whole number."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One language."""

    language: str
    catalogue: Mapping[str, Any]

    @property
    def direction(self) -> str:
        """ltr or rtl."""
        return str(self.catalogue["direction"])

    def message(self, kind: str, values: Mapping[str, str]) -> tuple[str, str]:
        """Subject and body of a kind of message."""
        subject, body = self.catalogue["messages"][kind]
        shown = self._isolated(values)
        return subject.format_map(shown), body.format_map(shown)

    def line(self, name: str, values: Mapping[str, str] | None = None) -> str:
        """What may follow a body: a sentence, or what stands above a link."""
        return str(self.catalogue["lines"][name]).format_map(self._isolated(values or {}))

    def _isolated(self, values: Mapping[str, str]) -> Mapping[str, str]:
        is_ltr = self.direction == "ltr"
        return {
            name: value if is_ltr and not _has_rtl(value) else _ISOLATE.format(value)
            for name, value in values.items()
        }

    def day(self, at: datetime, zone: ZoneInfo) -> str:
        """Wednesday, 3 March."""
        local = at.astimezone(zone)
        return str(self.catalogue["day"]).format(
            weekday=self.catalogue["weekdays"][local.weekday()],
            month=self.catalogue["months"][local.month - 1],
            day=self._digits(str(local.day)),
        )

    def time(self, at: datetime, zone: ZoneInfo) -> str:
        """14:30, or 2:30 pm."""
        local = at.astimezone(zone)
        if self.catalogue["clock"] == "24":
            return self._digits(f"{local:%H:%M}")
        minutes = f":{local:%M}" if local.minute else ""
        return f"{local.hour % 12 or 12}{minutes} {'am' if local.hour < 12 else 'pm'}"

    def window(self, begins: datetime, ends: datetime, zone: ZoneInfo) -> str:
        """Between 2 pm and 4 pm."""
        values = {"from": self.time(begins, zone), "to": self.time(ends, zone)}
        return str(self.catalogue["window"]).format_map(values)

    def duration(self, lasts: timedelta) -> str:
        """In hours and minutes, up to the next five."""
        hours, minutes = divmod(-(-lasts // STEP) * 5, 60)
        if hours and minutes:
            both = {"hours": self._counted("hours", hours), "minutes": self._counted("minutes", minutes)}
            return str(self.catalogue["hours_and_minutes"]).format_map(both)
        return self._counted("hours", hours) if hours else self._counted("minutes", minutes)

    def sentences(self, *parts: str) -> str:
        """One after another, with a space between where the script has it so."""
        return str(self.catalogue["between_sentences"]).join(parts)

    def _counted(self, noun: str, n: int) -> str:
        form = self.catalogue[noun][PLURAL[self.language](n)]
        return str(form).format(n=self._digits(str(n)))

    def _digits(self, text: str) -> str:
        own = self.catalogue.get("digits")
        return text.translate({ord("0") + value: digit for value, digit in enumerate(own)}) if own else text


def _has_rtl(text: str) -> bool:
    return any(bidirectional(character) in ("R", "AL") for character in text)


def expected(at: datetime) -> datetime:
    """Up to the next five minutes."""
    over = timedelta(minutes=at.minute % 5, seconds=at.second, microseconds=at.microsecond)
    return at + STEP - over if over else at


def wording(tag: str | None) -> Wording:
    """Of a BCP 47 tag, whatever its script and region; English for one that is not known."""
    language = (tag or DEFAULT).replace("_", "-").split("-")[0].lower()
    return _read(language if language in LANGUAGES else DEFAULT)


@cache
def _read(language: str) -> Wording:
    return Wording(language, json.loads((LOCALE / f"{language}.json").read_text(encoding="utf-8")))
