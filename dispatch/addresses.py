"""The words of an address, made comparable: what people write differently and mean alike. Nothing here knows a map."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_LONG = {
    "st": "street str saint strasse",
    "ave": "avenue av aven avenu",
    "rd": "road",
    "dr": "drive",
    "ln": "lane",
    "pl": "place",
    "ct": "court",
    "blvd": "boulevard boul",
    "pkwy": "parkway pkway",
    "sq": "square",
    "ter": "terrace terr",
    "hwy": "highway",
    "tpke": "turnpike tnpk",
    "expy": "expressway expwy",
    "plz": "plaza",
    "cir": "circle",
    "aly": "alley",
    "hts": "heights",
    "brg": "bridge",
    "ctr": "center centre",
    "mt": "mount",
    "ft": "fort",
    "n": "north",
    "e": "east",
    "s": "south",
    "w": "west",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
    "apt": "apartment appt",
    "and": "et und",
    "1": "first",
    "2": "second",
    "3": "third",
    "4": "fourth",
    "5": "fifth",
    "6": "sixth",
    "7": "seventh",
    "8": "eighth",
    "9": "ninth",
    "10": "tenth",
    "11": "eleventh",
    "12": "twelfth",
}
SHORT = {long: short for short, longs in _LONG.items() for long in longs.split()}
"""Each word's common abbreviation (after US Postal Service, Publication 28, appendices B and C); numbers for the
avenues that people spell out. What has two long forms (Street, Saint) is compared as one."""

_TYPES = "st ave rd dr ln pl ct blvd pkwy sq ter hwy tpke expy plz cir aly"
_COMMON = "n e s w ne nw se sw and of the hts brg ctr mt ft ny usa"
STREET_TYPES = frozenset(_TYPES.split())
GENERIC = STREET_TYPES | frozenset(_COMMON.split())
"""Words that by themselves tell no street from another."""

_UNITS = frozenset(["apt", "unit", "suite", "room", "rm"])
_APOSTROPHE = re.compile("['’ʼ`]")
_INITIALS = re.compile(r"(?<=\b[^\W\d_])\.(?=[^\W\d_]\b)")
"""The points of N.Y."""
_NUMBER_HYPHEN = re.compile("(?<=[0-9])[-‐–](?=[0-9])")
"""37-10 in Queens is also written 3710."""
_BREAK = re.compile("[,;\n]")
_WORD = re.compile(r"[^\W_]+")
_ZIP_PLUS_4 = re.compile(r"\b([0-9]{5})-[0-9]{4}\b")
_ORDINAL = re.compile(r"([0-9]+)(st|nd|rd|th)")
_HOUSE = re.compile(r"([0-9]{1,6})[a-z]?")
_ZIP = re.compile(r"[0-9]{5}")
_LEAST_CORRECTED = 4
_LEAST_CORRECTED_TWICE = 8


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    is_ordinal: bool
    ends_part: bool


def folded(text: str) -> str:
    """The words in one spelling: without case, accents, punctuation and units (Apt 4B), abbreviated, ordinals as
    numbers. Folding what is folded changes nothing."""
    return " ".join(word.text for word in _words(text))


@dataclass(frozen=True, slots=True)
class Address:
    """What an address names. road: its words without house number and ZIP code, folded; either may be None."""

    key: str
    road: str
    house: str | None
    zip_code: str | None

    @classmethod
    def of(cls, text: str) -> "Address":
        """Read by its form alone: the house number leads, or follows the street; the ZIP code is the last word of five
        digits that leads no others of its part between commas."""
        words = _words(text)
        key = " ".join(word.text for word in words)
        at = next((i for i in reversed(range(len(words))) if _is_zip(words, i)), None)
        zip_code = words.pop(at).text if at is not None else None
        at = next((i for i in range(len(words)) if _is_house(words, i)), None)
        house = words.pop(at).text if at is not None else None
        return cls(key, " ".join(word.text for word in words), house, zip_code)

    @property
    def number(self) -> int | None:
        """The house number without its letter."""
        found = _HOUSE.fullmatch(self.house) if self.house is not None else None
        return int(found[1]) if found else None

    @property
    def is_zip_alone(self) -> bool:
        """Whether nothing but an area is named."""
        return self.zip_code is not None and not self.road and self.house is None


def edits(one: str, other: str, most: int) -> int:
    """How many letters are wrong, missing, too many or swapped with their neighbour (optimal string alignment), at
    most `most` + 1."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def most_edits(word: str) -> int:
    """How many edits a word may be away and still be meant. Numbers and short words mean what they say: 35 is no
    misspelt 36."""
    if len(word) < _LEAST_CORRECTED or any(c.isdigit() for c in word):
        return 0
    return 2 if len(word) >= _LEAST_CORRECTED_TWICE else 1


def short_forms(word: str) -> set[str]:
    """The abbreviations that an unfinished or misspelt long form (Boulev, Avanue) may mean."""
    if len(word) < _LEAST_CORRECTED:
        return set()
    most = most_edits(word)
    return {
        short
        for long, short in SHORT.items()
        if most and (long.startswith(word) or edits(word, long, most) <= most)
    }


def is_distinctive(words: Iterable[str]) -> bool:
    """Whether any of them can tell one street from another."""
    return any(word not in GENERIC for word in words)


def _words(text: str) -> list[_Word]:
    plain = _plain(text).replace("#", " apt ").replace("&", " and ")
    plain = _INITIALS.sub("", _APOSTROPHE.sub("", plain))
    plain = _NUMBER_HYPHEN.sub("", _ZIP_PLUS_4.sub(r"\1", plain))
    found: list[_Word] = []
    for part in _BREAK.split(plain):
        words = _WORD.findall(part)
        found += [_word(word, last=i == len(words)) for i, word in enumerate(words, 1)]
    return _without_units(found)


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    for _ in range(2):  # folding case may give letters with accents again
        text = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in text if not unicodedata.combining(c))


def _word(text: str, *, last: bool) -> _Word:
    ordinal = _ORDINAL.fullmatch(text) if text[0].isdigit() else None
    if ordinal:
        return _Word(ordinal[1], True, last)
    short = SHORT.get(text)
    return _Word(text, False, last) if short is None else _Word(short, short.isdigit(), last)


def _without_units(words: list[_Word]) -> list[_Word]:
    """Where in the building is no part of where the building is: without `apt 4b` and `3 floor`."""
    kept: list[_Word] = []
    for word in words:
        if kept and kept[-1].text in _UNITS and _is_unit_number(word.text):
            while kept and kept[-1].text in _UNITS:
                kept.pop()
        elif word.text == "floor" and len(kept) > 1 and kept[-1].text.isdigit():
            kept.pop()
        else:
            kept.append(word)
    return kept


def _is_unit_number(word: str) -> bool:
    return len(word) == 1 or any(c.isdigit() for c in word)


def _is_zip(words: list[_Word], at: int) -> bool:
    word = words[at]
    return (at > 0 or word.ends_part) and not word.is_ordinal and _ZIP.fullmatch(word.text) is not None


def _is_house(words: list[_Word], at: int) -> bool:
    """Whether the number there is a house's: 5 in `5 Park Avenue` is, in `5th Avenue` and in `5 Avenue, New York` it
    is the street's."""
    word = words[at]
    if word.is_ordinal or len(words) == 1 or not _HOUSE.fullmatch(word.text):
        return False
    if at + 1 == len(words) or words[at + 1].text not in STREET_TYPES:
        return True
    return at == 0 and at + 2 < len(words) and not words[at + 1].ends_part
