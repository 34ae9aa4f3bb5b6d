"""The pictures of the README: parts of the golden report, each below 300 kB.

    make golden && python examples/gallery.py      # needs the extra `browser` and Chromium

Writes docs/gallery_*.png from reports/golden/report.html.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "reports" / "golden" / "report.html"
WIDTH, HEIGHT, LARGEST = 1200, 760, 300_000
# Name of the picture, and the part of the page that it shows.
PICTURES = {
    "gallery_answer": "header",
    "gallery_matrix": "#matrix figure",
    "gallery_gaps": "#gaps figure",
    "gallery_curves": "#performance figure",
}


def take(page: Any, selector: str) -> bytes:
    """One part of the page as PNG, at most so high that a reader sees it whole."""
    part = page.locator(selector).first
    part.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    box = part.bounding_box()
    top = box["y"] + page.evaluate("scrollY")
    clip = {"x": box["x"] - 8, "y": top - 8, "width": box["width"] + 16, "height": min(box["height"] + 16, HEIGHT)}
    return bytes(page.screenshot(clip=clip, full_page=True))


def shrink(picture: bytes) -> bytes:
    """The picture with as many colours as fit below `LARGEST`."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32):
        written = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() < LARGEST:
            break
    return written.getvalue()


def main() -> int:
    """Take every picture; returns the exit code."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.set_default_timeout(300_000)
        page.goto(PAGE.as_uri())
        page.add_style_tag(content="nav { position: static !important; }")
        for name, selector in PICTURES.items():
            if not page.locator(selector).count():
                print(f"{selector}: not on the page")
                continue
            path = ROOT / "docs" / f"{name}.png"
            path.write_bytes(shrink(take(page, selector)))
            print(f"{path.relative_to(ROOT)} ({path.stat().st_size / 1e3:.0f} kB)")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
