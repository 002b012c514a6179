"""python -m benchmarks.screenshot: docs/report.png, the top of reports/report.html in a browser.

Needs Chromium, the system's or Playwright's own (`playwright install chromium`).
"""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

from PIL import Image

from pipeline.errors import PipelineError, require_extra, run
from pipeline.files import replace_file

PAGE = Path("reports/report.html")
PICTURE = Path("docs/report.png")
WIDTH, HEIGHT = 1120, 1000
COLORS = 128
"""Of the PNG, which Git keeps."""


def shot(page: Path, scheme: str = "light") -> bytes:
    """The top of a page as PNG.

    Raises
    ------
    PipelineError
        Where there is no browser.
    """
    require_extra("dev", {"playwright": "playwright"}, "a screenshot needs")
    from playwright.sync_api import Error, sync_playwright

    installed = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=installed, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
        except Error as error:
            reason = str(error).splitlines()[0]
            raise PipelineError(f"no browser ({reason}); install chromium") from error
        opened = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, offline=True
        )
        opened.goto(page.resolve().as_uri())
        return opened.screenshot()


def main() -> None:
    picture = Image.open(io.BytesIO(shot(PAGE))).convert("RGB").quantize(COLORS)
    with replace_file(PICTURE) as staging:
        picture.save(staging, "PNG", optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    run(main)
