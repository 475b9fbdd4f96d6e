"""The page for receivers says what is so."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.errors import ForbiddenUrl
from dispatch.settings import PREFIX, Settings
from dispatch.webhook import MOST_ATTEMPTS, PAUSES, DisabledWhy, EventType
from dispatch.webhook_address import require_savable
from dispatch.webhook_endpoints import MOST_ENDPOINTS
from dispatch.webhook_sending import Attempt, new_secret, signed
from tests.support.clock import FakeClock

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Any:
    """The function that the page gives to receivers, by a clock that is set."""
    code = re.search(r"```python\n(.+?)```", PAGE, re.S)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)  # noqa: S102
    monkeypatch.setattr(names["time"], "time", lambda: clock().timestamp())
    return names["verified"]


def test_the_code_for_receivers_tells_ours_from_others(verified: Any, clock: FakeClock) -> None:
    secret, body = new_secret(), '{"type":"request.created","data":{"external_id":"Grüße"}}'
    attempt = Attempt("delivery", "endpoint", 1, "https://acme.example/", "", "event", body)
    headers = signed(attempt, secret, clock())
    both = headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}

    assert verified(secret, headers, body.encode())
    assert verified(secret, both, body.encode())
    assert not verified(new_secret(), headers, body.encode())
    assert not verified(secret, headers, body.encode() + b" ")
    assert not verified(secret, headers | {"webhook-id": "another"}, body.encode())
    clock.advance(minutes=6)
    assert not verified(secret, headers, body.encode())


def test_every_type_and_reason_is_named_and_no_other() -> None:
    named = set(re.findall(r"`((?:appointment|offer|request|feedback)\.[a-z_]+)`", PAGE))

    assert named == set(EventType)
    assert all(f"| `{why.value}` |" in PAGE for why in DisabledWhy)


def test_the_schedule_is_the_one_that_is_kept() -> None:
    units = {"s": "seconds", "min": "minutes", "h": "hours"}
    (told,) = re.findall(r"tried again after (.+?), each longer", re.sub(r"\s+", " ", PAGE))
    pauses = re.findall(r"(\d+) (s|min|h)\b", told)

    assert tuple(timedelta(**{units[unit]: int(count)}) for count, unit in pauses) == PAUSES
    assert MOST_ATTEMPTS == 10
    assert "ten attempts in some 75 hours" in PAGE
    assert sum(PAUSES, timedelta()) // timedelta(hours=1) == 75
    assert f"has {MOST_ENDPOINTS} endpoints" in PAGE


def test_every_setting_that_it_names_is_one() -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", PAGE))

    assert {name.lower() for name in named} <= set(Settings.model_fields)
    assert "`DISPATCH_WEBHOOK_TIMEOUT_S` (15)" in PAGE
    assert Settings.model_fields["webhook_timeout_s"].default == 15


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0177.0.0.1", "localhost", "x.internal", "x.local", "word"]
)
def test_what_it_says_is_refused_is(host: str) -> None:
    assert re.sub(r"^x", "*", host) in PAGE or host == "word"

    with pytest.raises(ForbiddenUrl):
        require_savable(f"https://{host}/", (), lambda _host, _port: [])
