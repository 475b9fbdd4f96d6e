from collections.abc import Iterator

import pytest
from sqlmodel import Session

from dispatch.settings import Settings
from tests.dispatch.world import World
from tests.support.gateways import HttpGateway, MailServer, running


@pytest.fixture
def world(session: Session, settings: Settings) -> World:
    return World(session, settings)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """On the loopback; it takes all mail."""
    server = MailServer()
    with running(server):
        yield server


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    """On the loopback; it takes every message."""
    server = HttpGateway()
    with running(server):
        yield server
