"""Settings come from the environment; a wrong one is refused at start, by its name."""

import stat
from datetime import time
from ipaddress import ip_network
from pathlib import Path

import pytest

from dispatch.settings import InvalidSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()

    assert settings.database_url == "sqlite:///var/dispatch.sqlite3"
    assert (settings.hold_s, settings.slot_ttl_s, settings.start_tolerance_s) == (300, 900, 1_800)
    assert settings.rate_limits


def test_the_secret_is_made_once_for_its_owner_alone() -> None:
    first, second = load_settings(), load_settings()

    file = Path("var/secret")
    assert first.secret == second.secret
    assert len(first.secret.get_secret_value()) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert first.secret.get_secret_value() not in repr(first)


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCH_RATE_LIMITS", "off")
    monkeypatch.setenv("DISPATCH_WEBHOOK_ALLOW", "127.0.0.1/32, fd00::/8")
    monkeypatch.setenv("DISPATCH_DATABASE_URL", "postgresql://me@db/x")
    monkeypatch.setenv("DISPATCH_PUBLIC_URL", "https://example.org/")

    settings = load_settings()

    assert not settings.rate_limits
    assert settings.webhook_allow == (ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
    assert settings.database_url == "postgresql+psycopg://me@db/x"
    assert settings.public_url == "https://example.org"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://me@db/x"),
        ("DATABASE_URL", "sqlite://"),
        ("HOLD_S", "0"),
        ("HOLD_S", "soon"),
        ("SECRET", "short"),
        ("GEOCODER", "nobody"),
        ("GEOCODER", "google"),
        ("GEOCODER", "bing"),
        ("PUBLIC_URL", "example.org"),
        ("WEBHOOK_ALLOW", "localhost"),
        ("RATE_LIMITS", "perhaps"),
        ("RATE_LIMIT_STORAGE", "http://x"),
        ("GEOCODER", "atlas"),
        ("TILE_URL", "tiles.example/{z}/{x}/{y}.png"),
        ("TILE_URL", "https://tiles.example/all.png"),
        ("TILE_URL", "https://tiles.example;script-src/{z}/{x}/{y}.png"),
        ("TRAVEL", "teleport"),
        ("LOG_LEVEL", "loud"),
        ("CHANNEL", "pigeon"),
        ("APPRISE_SMS", "+1 212 555 0123"),
        ("APPRISE_SMS", "pigeon://loft/{to}"),
        ("APPRISE_SMS", "json://gateway.example/sms"),
        ("APPRISE_SMS", "twilio://SID:TOKEN/{to}"),
        ("APPRISE_SMS", f"twilio://AC{'0' * 32}:{'1' * 32}@+12025550100/?note={{to}}"),
        ("APPRISE_EMAIL", "mailtos://{to}"),
        ("CHANNEL", "apprise"),
        ("QUIET_HOURS", "21-8 or so"),
        ("QUIET_HOURS", "08:00-08:00"),
        ("QUIET_HOURS", "21:00+01:00-08:00"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DISPATCH_{name}", value)

    with pytest.raises(InvalidSettings, match=f"^DISPATCH_{name}: "):
        load_settings()


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("missing", "given"),
    [
        ("SMTP_URL", {"MAIL_FROM": "visits@acme.example"}),
        ("SMTP_URL", {"MAIL_FROM": "visits@acme.example", "SMTP_URL": "http://mail.example"}),
        ("MAIL_FROM", {"SMTP_URL": "smtp://mail.example"}),
    ],
)
def test_a_mail_server_needs_an_address_of_its_own_and_of_the_sender(
    missing: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CHANNEL": "smtp", **given}.items():
        monkeypatch.setenv(f"DISPATCH_{name}", value)

    with pytest.raises(InvalidSettings, match=f"^DISPATCH_{missing}: "):
        load_settings()


def test_the_password_of_the_mail_server_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCH_SMTP_URL", "smtp://me:hush@mail.example")

    assert "hush" not in repr(load_settings())


def test_services_are_named_as_apprise_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    services = {
        "SMS": f"twilio://AC{'0' * 32}:{'1' * 32}@+12025550100/{{to}}",
        "EMAIL": "mailtos://visits:hush@mail.example?from=visits@acme.example&to={to}",
        "CHAT": "signal://127.0.0.1:8080/+12025550100/{to}",
    }
    monkeypatch.setenv("DISPATCH_CHANNEL", "apprise")
    for name, url in services.items():
        monkeypatch.setenv(f"DISPATCH_APPRISE_{name}", url)

    settings = load_settings()

    assert settings.apprise_sms.get_secret_value() == services["SMS"]
    assert "hush" not in repr(settings)


def test_the_refusal_of_a_service_holds_nothing_secret(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPATCH_APPRISE_SMS", "twilio://SID:hush@+12025550100/{to}")

    with pytest.raises(InvalidSettings) as refusal:
        load_settings()

    assert "hush" not in str(refusal.value) + "".join(capfd.readouterr())


def test_quiet_hours_are_times_of_the_wall_clock_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_settings().quiet
    monkeypatch.setenv("DISPATCH_QUIET_HOURS", "off")

    assert usual == (time(21), time(8))
    assert load_settings().quiet is None
