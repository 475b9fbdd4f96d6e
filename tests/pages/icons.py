"""`python -m tests.pages.icons`: draws the icons of the installed application from `icon.svg`, in Chromium."""

import io
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from api.pages.site import STATIC
from tests.pages.conftest import ARGUMENTS
from tests.support.services import find_chromium

ICONS = {"icon-192.png": 192, "icon-512.png": 512}
WHOLE = {"icon-maskable-512.png": 512, "icon-apple-180.png": 180}
"""Cut into shape by whoever shows them: coloured to the edges, all that matters within the middle four fifths."""
GROUND = "#0b6a5b"
COLOURS = 64


def draw(browser: Browser, size: int, *, whole: bool) -> Image.Image:
    """The icon as a square of so many pixels."""
    drawing = (STATIC / "icon.svg").read_text().replace("<svg", '<svg width="100%" height="100%"', 1)
    inset, ground = ("10%", GROUND) if whole else ("0", "transparent")
    page = browser.new_page(viewport={"width": size, "height": size})
    page.set_content(
        f"<style>body {{ margin: 0; padding: {inset}; height: 100vh; box-sizing: border-box;"
        f" background: {ground} }}</style>{drawing}"
    )
    picture = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
    page.close()
    return picture


def main(chromium: Path) -> None:
    """Writes them beside the drawing."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        for name, size in (ICONS | WHOLE).items():
            picture = draw(browser, size, whole=name in WHOLE)
            few = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
            few.save(STATIC / name, optimize=True)
        browser.close()


if __name__ == "__main__":
    with ExitStack() as stack:
        main(find_chromium(stack))
