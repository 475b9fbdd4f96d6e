"""What a story begins with."""

import pytest
from sqlalchemy import Engine

from dispatch.settings import Settings
from tests.support.acme import Acme, build_acme
from tests.support.client import ApiClient
from tests.support.clock import FakeClock


@pytest.fixture
def acme(client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Acme:
    """An organization that works."""
    return build_acme(client, engine, settings, clock)
