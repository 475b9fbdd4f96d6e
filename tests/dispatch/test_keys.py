"""Keys: issued once, stored hashed, found again, exchanged, revoked."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from dispatch.errors import Conflict, Unauthenticated
from dispatch.keys import (
    ANONYMOUS,
    ApiKey,
    Principal,
    authenticate,
    find_key,
    issue_key,
    principal_of,
    revoke,
    rotate,
    touch,
)
from dispatch.organization import Organization, create_organization
from tests.support.clock import FakeClock


@pytest.fixture
def acme(session: Session, clock: FakeClock) -> Organization:
    return create_organization(
        session, slug="acme", name="Acme", currency="USD", time_zone="UTC", now=clock.now()
    )


def test_a_key_says_who_calls(session: Session, acme: Organization, clock: FakeClock) -> None:
    key, plaintext = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())

    principal = authenticate(session, plaintext, clock.now())

    assert principal == Principal("dispatcher", organization_id=acme.id, key_id=key.id)
    assert principal_of(session, key.id, clock.now()) == principal


def test_the_plaintext_is_not_stored(session: Session, acme: Organization, clock: FakeClock) -> None:
    _, plaintext = issue_key(session, "integration", organization_id=acme.id, now=clock.now())

    stored = repr(session.exec(select(ApiKey)).one().model_dump())

    assert plaintext not in stored
    assert plaintext[:11] in stored


def test_keys_are_long_and_never_the_same(session: Session, acme: Organization, clock: FakeClock) -> None:
    issued = {
        issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())[1] for _ in range(20)
    }

    assert len(issued) == 20
    assert all(len(plaintext) >= 43 for plaintext in issued)


def test_a_key_of_the_same_prefix_is_another_key(
    session: Session, acme: Organization, clock: FakeClock
) -> None:
    _, plaintext = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())

    near = plaintext[:-1] + ("A" if plaintext[-1] != "A" else "B")

    assert find_key(session, near) is None
    assert find_key(session, "") is None
    assert find_key(session, "fd_ключ") is None


def test_an_expired_or_revoked_key_opens_nothing(
    session: Session, acme: Organization, clock: FakeClock
) -> None:
    end = clock.now() + timedelta(hours=1)
    _, ending = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now(), expires_at=end)
    key, revoked = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())
    revoke(session, key, clock.now())

    assert authenticate(session, ending, clock.now()) is not None
    assert authenticate(session, ending, end) is None
    assert authenticate(session, revoked, clock.now()) is None
    assert principal_of(session, key.id, clock.now()) is None


def test_revoking_twice_keeps_the_first_date(session: Session, acme: Organization, clock: FakeClock) -> None:
    key, _ = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())
    first = clock.now()
    revoke(session, key, first)

    revoke(session, key, clock.advance(hours=1))

    assert key.revoked_at == first


def test_a_rotated_key_is_replaced_by_one_of_the_same_caller(
    session: Session, acme: Organization, clock: FakeClock
) -> None:
    key, old = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())

    fresh, new = rotate(session, key.principal(), clock.now())

    assert authenticate(session, old, clock.now()) is None
    assert authenticate(session, new, clock.now()) == Principal(
        "dispatcher", organization_id=acme.id, key_id=fresh.id
    )


def test_of_two_rotations_of_one_key_one_wins(session: Session, acme: Organization, clock: FakeClock) -> None:
    key, _ = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())
    caller = key.principal()
    rotate(session, caller, clock.now())

    with pytest.raises(Conflict) as refusal:
        rotate(session, caller, clock.now())

    assert refusal.value.code == "key_revoked"


def test_nobody_rotates_nothing(session: Session, clock: FakeClock) -> None:
    with pytest.raises(Unauthenticated):
        rotate(session, ANONYMOUS, clock.now())


def test_a_key_needs_its_owner(session: Session, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="technician"):
        issue_key(session, "technician", organization_id="x", now=clock.now())


def test_use_is_noted_at_most_once_a_minute(session: Session, acme: Organization, clock: FakeClock) -> None:
    key, _ = issue_key(session, "dispatcher", organization_id=acme.id, now=clock.now())
    first = clock.now()
    touch(session, key.id, first)

    touch(session, key.id, clock.advance(seconds=59))
    session.refresh(key)
    kept = key.last_used_at
    later = clock.advance(seconds=2)
    touch(session, key.id, later)
    session.refresh(key)

    assert (kept, key.last_used_at) == (first, later)
