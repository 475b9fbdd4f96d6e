"""The page for operators says what is so."""

import re
from pathlib import Path

import pytest

from dispatch.carriers import SAMPLE_EMAIL, SAMPLE_PHONE, objection
from dispatch.settings import PREFIX, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "telling.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^DISPATCH_APPRISE_(\w+)='(.+)'$", PAGE, re.M)


@pytest.mark.parametrize(("means", "url"), EXAMPLES)
def test_an_example_is_a_url_that_is_taken(means: str, url: str) -> None:
    assert objection(url, SAMPLE_EMAIL if means == "EMAIL" else SAMPLE_PHONE) is None


def test_there_are_examples_for_every_kind_of_address() -> None:
    assert {means for means, _ in EXAMPLES} == {"SMS", "EMAIL", "CHAT"}


def test_every_setting_that_it_names_is_one() -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", PAGE))

    assert {name.lower() for name in named} <= set(Settings.model_fields)
