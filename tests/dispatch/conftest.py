import pytest
from sqlmodel import Session

from dispatch.settings import Settings
from tests.dispatch.world import World


@pytest.fixture
def world(session: Session, settings: Settings) -> World:
    return World(session, settings)
