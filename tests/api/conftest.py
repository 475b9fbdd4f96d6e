"""The application with the resource that tests mount, and its callers."""

from collections.abc import Callable, Iterator

import pytest
from flask_openapi.openapi import OpenAPI
from sqlalchemy import Engine
from sqlmodel import Session

from dispatch.keys import issue_key
from dispatch.organization import Organization, create_organization
from dispatch.settings import Settings
from tests.api.things import SEEN, things
from tests.support.acme import Acme, build_acme
from tests.support.client import ApiClient
from tests.support.clock import FakeClock


@pytest.fixture
def thing_client(app: OpenAPI) -> Iterator[ApiClient]:
    """A caller of an application that serves things too."""
    app.register_api(things)
    SEEN.clear()
    opened = app.test_client()
    assert isinstance(opened, ApiClient)
    yield opened
    SEEN.clear()


@pytest.fixture
def organization(session: Session, clock: FakeClock) -> Organization:
    """Committed."""
    created = create_organization(
        session, slug="acme", name="Acme", currency="USD", time_zone="America/New_York", now=clock.now()
    )
    session.commit()
    return created


@pytest.fixture
def new_key(session: Session, organization: Organization, clock: FakeClock) -> Callable[[str], str]:
    """Issues a committed key of the organization for a role, and returns it."""

    def issue(role: str) -> str:
        assert role in ("dispatcher", "integration")
        _, plaintext = issue_key(
            session,
            "dispatcher" if role == "dispatcher" else "integration",
            organization_id=organization.id,
            now=clock.now(),
        )
        session.commit()
        return plaintext

    return issue


@pytest.fixture
def dispatcher(new_key: Callable[[str], str]) -> str:
    """A dispatcher's key."""
    return new_key("dispatcher")


@pytest.fixture
def acme(client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Acme:
    """An organization that works."""
    return build_acme(client, engine, settings, clock)
