from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from sqlmodel import Session

from dispatch.acceptance import PRIOR, AcceptanceTraining
from dispatch.settings import Settings
from tests.dispatch.market import USUAL
from tests.dispatch.world import NOW, World
from tests.support.gateways import HttpGateway, MailServer, running
from tests.support.webhooks import Receiver


@pytest.fixture
def world(session: Session, settings: Settings) -> World:
    return World(session, settings)


@pytest.fixture
def market(world: World) -> World:
    """Answers have taught what was assumed before."""
    world.session.add(
        AcceptanceTraining(
            organization_id=world.organization.id,
            trained_at=NOW,
            answers=40,
            accepted=30,
            weights=dict(PRIOR),
            trades={},
            usual_cents={"": USUAL},
        )
    )
    world.session.flush()
    return world


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
