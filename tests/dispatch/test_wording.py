"""Every language says everything, in its own forms."""

import json
import string
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dispatch.outbox import Kind
from dispatch.wording import LANGUAGES, LOCALE, PLURAL, expected, wording

NEW_YORK, SANTIAGO = ZoneInfo("America/New_York"), ZoneInfo("America/Santiago")
VALUES = {
    name: f"<{name}>"
    for name in ("organization", "service", "day", "window", "technician", "delay", "expected")
}


def placeholders(value: Any) -> Any:
    """The same shape with the names that are filled in, in no order."""
    if isinstance(value, dict):
        return {key: placeholders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [placeholders(item) for item in value]
    return {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}


def catalogue(language: str) -> Any:
    return json.loads((LOCALE / f"{language}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_kind_with_the_facts_that_the_english_one_has(language: str) -> None:
    own, english = catalogue(language), catalogue("en")

    assert set(own["messages"]) == {kind.value for kind in Kind}
    for kind in Kind:
        subject, body = placeholders(own["messages"][kind.value])
        assert body == placeholders(english["messages"][kind.value])[1], kind
        assert subject <= VALUES.keys(), kind
    assert placeholders(own["lines"]) == placeholders(english["lines"])
    assert placeholders(own["day"]) == placeholders(english["day"])
    assert placeholders(own["hours_and_minutes"]) == placeholders(english["hours_and_minutes"])
    assert placeholders(own["window"]) == placeholders(english["window"])
    assert (len(own["weekdays"]), len(own["months"])) == (7, 12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_is_left_in_another(language: str) -> None:
    own, english = catalogue(language), catalogue("en")

    if language != "en":
        assert all(own["messages"][kind] != english["messages"][kind] for kind in own["messages"])
        assert all(own["lines"][name] != english["lines"][name] for name in own["lines"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_each_message_is_written_without_a_gap(language: str, kind: Kind) -> None:
    subject, body = wording(language).message(kind.value, VALUES)

    assert subject
    assert "{" not in subject + body
    assert "<organization>" in body


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_that_a_number_can_want_is_there(language: str) -> None:
    own = catalogue(language)
    wanted = {PLURAL[language](n) for n in range(1, 200)}

    assert wanted == set(own["hours"]) == set(own["minutes"])


@pytest.mark.parametrize(
    ("language", "minutes", "said"),
    [
        ("en", 60, "1 hour"),
        ("en", 121, "2 hours and 5 minutes"),
        ("de", 75, "1 Stunde und 15 Minuten"),
        ("es", 20, "20 minutos"),
        ("pl", 60, "1 godzinę"),
        ("pl", 140, "2 godziny i 20 minut"),
        ("pl", 5 * 60, "5 godzin"),
        ("pl", 12 * 60, "12 godzin"),
        ("pl", 22 * 60, "22 godziny"),
        ("ru", 60, "1 час"),
        ("ru", 3 * 60, "3 часа"),
        ("ru", 11 * 60 + 20, "11 часов 20 минут"),
        ("ru", 21 * 60, "21 час"),
        ("es", 65, "1 hora y 5 minutos"),
        ("fa", 25, "۲۵ دقیقه"),
        ("fa", 65, "۱ ساعت و ۵ دقیقه"),
        ("zh", 85, "1小时25分钟"),
        ("en", 0, "0 minutes"),
    ],
)
def test_numbers_are_counted_as_the_language_counts(language: str, minutes: int, said: str) -> None:
    assert wording(language).duration(timedelta(minutes=minutes)) == said


def test_what_is_expected_is_told_in_steps_of_five_minutes() -> None:
    at = datetime(2027, 6, 1, 14, 31, 2, tzinfo=UTC)

    assert expected(at) == datetime(2027, 6, 1, 14, 35, tzinfo=UTC)
    assert expected(expected(at)) == expected(at)


def test_a_latin_name_does_not_turn_a_persian_sentence() -> None:
    subject, body = wording("fa").message("arrived", VALUES)

    assert wording("fa").direction == "rtl"
    assert "\u2068<technician>\u2069" in subject
    assert "\u2068<organization>\u2069" in body


def test_a_persian_name_does_not_turn_a_latin_sentence() -> None:
    _, body = wording("en").message("arrived", VALUES | {"technician": "رضا"})

    assert body == "<organization>: \u2068رضا\u2069 has arrived."


@pytest.mark.parametrize(
    ("zone", "at", "said"),
    [
        (NEW_YORK, "2027-03-14T06:30:00+00:00", "Sunday, 14 March 1:30 am"),
        (NEW_YORK, "2027-03-14T07:30:00+00:00", "Sunday, 14 March 3:30 am"),
        (NEW_YORK, "2027-11-07T05:30:00+00:00", "Sunday, 7 November 1:30 am"),
        (NEW_YORK, "2027-11-07T06:30:00+00:00", "Sunday, 7 November 1:30 am"),
        (SANTIAGO, "2027-09-05T03:59:00+00:00", "Saturday, 4 September 11:59 pm"),
        (SANTIAGO, "2027-09-05T04:00:00+00:00", "Sunday, 5 September 1 am"),
    ],
)
def test_times_are_those_of_the_wall_clock(zone: ZoneInfo, at: str, said: str) -> None:
    words, instant = wording("en"), datetime.fromisoformat(at)

    assert f"{words.day(instant, zone)} {words.time(instant, zone)}" == said
