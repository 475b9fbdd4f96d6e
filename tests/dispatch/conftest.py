from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from sqlmodel import Session

from dispatch.settings import Settings
from tests.dispatch.world import World
from tests.support.gateways import HttpGateway, MailServer, running
from tests.support.webhooks import Receiver


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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """On the loopback; it takes every webhook."""
    server = Receiver()
    with running(server):
        yield server


@pytest.fixture
def on_loopback(settings: Settings) -> Settings:
    """An installation that may send webhooks to 127.0.0.1 and waits for it half a second."""
    return settings.model_copy(
        update={"webhook_allow": (ip_network("127.0.0.1/32"),), "webhook_timeout_s": 0.5}
    )
