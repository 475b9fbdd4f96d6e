"""Addresses as text: one spelling for what people write differently."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatch.addresses import SHORT, Address, edits, folded, most_edits, short_forms

WORDS = st.sampled_from(
    [
        "350",
        "5th",
        "fifth",
        "Avenue",
        "St.",
        "St",
        "W",
        "apt",
        "4b",
        "#",
        "floor",
        "37-10",
        "10016",
        "10016-1234",
        "é",
    ]
)
ADDRESSES = st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(WORDS).map(", ".join))
LETTERS = st.text(alphabet="abcd", max_size=8)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("350 5th Ave", "350 FIFTH AVENUE"),
        ("12 W 36th St.", "12 West 36 Street"),
        ("7 Saint Mark's Place", "7 st marks pl"),
        ("1 Peña Blvd", "1 Pen\u0303a boulevard"),
        ("12 E 36 Street, Apt 4B", "12 E 36 Street"),
        ("12 E 36 Street #4B, 3rd Floor", "12 e. 36th st"),
        ("37-10 37th Ave", "3710 37 Avenue"),
        ("1 Main St, New York, N.Y. 10016-2207", "1 main street new york ny 10016"),
        ("Hauptstraße 5", "HAUPTSTRASSE 5"),
    ],
)
def test_spellings_of_one_address_fold_alike(one: str, other: str) -> None:
    assert folded(one) == folded(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("350 5 Avenue", "350 5 Street"),
        ("12 W 36 Street", "12 E 36 Street"),
        ("35 Main Street", "36 Main Street"),
        ("1 Main Street 10016", "1 Main Street 10017"),
    ],
)
def test_different_addresses_stay_different(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@given(ADDRESSES)
@example("ΐ\u0345")
@example("10001-1234-5 a-b 1-2-3")
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(ADDRESSES)
def test_space_and_punctuation_around_do_not_count(text: str) -> None:
    assert folded(f"  {text} ... ") == folded(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_case_does_not_count(text: str) -> None:
    assert folded(text.upper()) == folded(text.lower()) == folded(text)


@given(ADDRESSES)
def test_no_word_of_an_address_is_lost(text: str) -> None:
    address = Address.of(text)

    parts = [*address.road.split(), *filter(None, (address.house, address.zip_code))]

    assert sorted(parts) == sorted(address.key.split())


@pytest.mark.parametrize(
    ("text", "road", "house", "zip_code"),
    [
        ("350 5th Ave, New York, NY 10118", "5 ave new york ny", "350", "10118"),
        ("350a 5 Avenue", "5 ave", "350a", None),
        ("37-10 37 Avenue, Queens", "37 ave queens", "3710", None),
        ("5th Avenue, New York", "5 ave new york", None, None),
        ("5 Avenue, New York", "5 ave new york", None, None),
        ("12 Avenue A, New York", "ave a new york", "12", None),
        ("E 36 Street", "e 36 st", None, None),
        ("10016", "", None, "10016"),
        ("10016-2207", "", None, "10016"),
        ("10016, Manhattan", "manhattan", None, "10016"),
        ("10016 5 Avenue", "5 ave", "10016", None),
        ("Hauptstraße 5, 10115 Berlin", "hauptstrasse berlin", "5", "10115"),
        ("City Hall", "city hall", None, None),
    ],
)
def test_house_number_and_zip_code_are_told_from_the_street(
    text: str, road: str, house: str | None, zip_code: str | None
) -> None:
    address = Address.of(text)

    assert (address.road, address.house, address.zip_code) == (road, house, zip_code)


def test_a_house_number_counts_without_its_letter() -> None:
    assert [Address.of(f"{house} Main Street").number for house in ("12", "12a", "12-10")] == [12, 12, 1210]


@pytest.mark.parametrize(
    ("one", "other", "away"),
    [("main", "main", 0), ("mian", "main", 1), ("man", "main", 1), ("maine", "main", 1), ("mine", "lane", 2)],
)
def test_edits_are_letters_wrong_missing_too_many_or_swapped(one: str, other: str, away: int) -> None:
    assert edits(one, other, 3) == away


@given(LETTERS, LETTERS, st.integers(0, 9))
def test_edits_are_symmetric_and_counted_up_to_the_limit(one: str, other: str, most: int) -> None:
    assert edits(one, other, most) == edits(other, one, most) == min(edits(one, other, 99), most + 1)


def test_numbers_and_short_words_are_never_taken_for_misspelt() -> None:
    assert [most_edits(word) for word in ("36", "36a", "oak", "main", "broadway")] == [0, 0, 0, 1, 2]


def test_unfinished_and_misspelt_kinds_of_street_are_understood() -> None:
    assert short_forms("boulev") == short_forms("bulevard") == {"blvd"}
    assert short_forms("avanue") == {"ave"}
    assert short_forms("ave") == set()


def test_every_abbreviation_stands_for_itself() -> None:
    assert [short for short in SHORT.values() if folded(short) != short] == []
