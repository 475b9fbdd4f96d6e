"""The pages of a small day, asked by Flask's client and by a browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine
from werkzeug.serving import make_server

from api.streaming import streams_of
from dispatch.settings import Settings
from tests.pages.world import World, build_world
from tests.support.clock import FakeClock

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def world(settings: Settings, engine: Engine, clock: FakeClock) -> World:
    return build_world(settings, engine, clock)


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The address at which the application answers."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    streams_of(app).end()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(app: Flask, world: World) -> Iterator[str]:
    """The address at which the application serves the world."""
    with serving(app) as address:
        yield address


@pytest.fixture
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield opened
        opened.close()
