"""Frames of the board while a visit is dragged: `python -m benchmarks.board`.

The world: freelancers of a generated New York and a day of generated calls, planned and promised by a plan run, on a
new SQLite database behind a real `dispatch serve`. Headless Chromium draws in software and shares the cores with the
server, which prices every place that the visit rests at. Times are between one frame and the next
(requestAnimationFrame) while the mouse drags over lanes and hours, the timeline scrolling at its edges.
"""

import shutil
import statistics
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from math import sin
from pathlib import Path

import click
from playwright.sync_api import FloatRect, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.booking import Size, build
from benchmarks.story import serving

WIDTH, HEIGHT = 1440, 900
FRAME_MS = 33
STEP_S = 0.012
COUNT_FRAMES = """() => {
  window.frames_ms = [];
  let before = performance.now();
  const count = (at) => {
    window.frames_ms.push(at - before);
    before = at;
    window.counting = requestAnimationFrame(count);
  };
  window.counting = requestAnimationFrame(count);
}"""
STOP = "() => { cancelAnimationFrame(window.counting); return window.frames_ms.slice(2); }"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu")


def found_chromium() -> str | None:
    """The first that this machine has."""
    return next((path for name in BROWSERS if (path := shutil.which(name)) is not None), None)


def signed_in(page: Page, address: str, key: str, day: date) -> float:
    """Opens the board; gives back the milliseconds until it could be used."""
    page.goto(f"{address}/login?next=/board?date={day}")
    page.get_by_label("Your key").fill(key)
    began = time.perf_counter()
    page.get_by_role("button", name="Sign in").click()
    page.locator('.visit[tabindex="0"]').wait_for()
    return (time.perf_counter() - began) * 1000


def dragged(page: Page, seconds: float) -> list[float]:
    """Milliseconds of each frame while a visit is dragged about for so long; it is put back."""
    box = _box(page, "#timeline")
    bar = _box(page, ".visit .bar")
    page.mouse.move(bar["x"] + 8, bar["y"] + 10)
    page.mouse.down()
    page.mouse.move(bar["x"] + 40, bar["y"] + 40)
    page.evaluate(COUNT_FRAMES)
    deadline, turn = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        turn += STEP_S
        x = box["x"] + box["width"] * (0.55 + 0.4 * sin(turn * 2.1))
        y = box["y"] + box["height"] * (0.5 + 0.49 * sin(turn * 1.3))
        page.mouse.move(x, y)
        time.sleep(STEP_S)
    frames: list[float] = page.evaluate(STOP)
    page.keyboard.press("Escape")
    page.mouse.up()
    return frames


def _box(page: Page, selector: str) -> FloatRect:
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return found


def report(console: Console, page: Page, opened_ms: float, frames: list[float]) -> None:
    """Prints what was measured."""
    table = Table(
        "technicians", "visits", "opened after ms", "frames", "median ms", "p95 ms", f"under {FRAME_MS} ms"
    )
    share = sum(frame < FRAME_MS for frame in frames) / len(frames)
    table.add_row(
        f"{page.locator('.lane').count()}",
        f"{page.locator('.visit[data-visit], .waiting > [data-visit]').count()}",
        f"{opened_ms:.0f}",
        f"{len(frames)}",
        f"{statistics.median(frames):.1f}",
        f"{statistics.quantiles(frames, n=20)[-1]:.1f}",
        f"{share:.1%}",
    )
    console.print(table)


@click.command()
@click.option("--technicians", default=100, show_default=True)
@click.option("--visits", default=800, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="For which a visit is dragged.")
@click.option("--chromium", default=found_chromium, type=click.Path(exists=True))
def main(technicians: int, visits: int, seconds: float, chromium: str | None) -> None:
    """Drags a visit about on the board of a busy day."""
    console = Console(width=110)
    if chromium is None:
        console.print("No Chromium was found: the frames of the board are left out.")
        return
    day = datetime.now(UTC).date() + timedelta(days=3)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        build(url, Size(technicians, visits, 1, 5.0), day, console.print)
        with serving(url) as (port, ours), sync_playwright() as playwright:
            key = ours("keys", "create", "--organization", "bench", "--role", "dispatcher").splitlines()[-1]
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            opened_ms = signed_in(page, f"http://127.0.0.1:{port}", key, day)
            report(console, page, opened_ms, dragged(page, seconds))
            browser.close()


if __name__ == "__main__":
    main()
