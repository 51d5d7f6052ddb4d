"""Makes the picture of the report page that the README shows: `picture.py [FILE] [--dark]`."""

import sys
import tempfile
from pathlib import Path

from browser import chromium, made, sample

REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments):
    dark = "--dark" in arguments
    file = next((argument for argument in arguments if argument != "--dark"), REPOSITORY / "docs" / "report.png")
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        records = Path(scratch) / "records"
        sample(records, 2_000, 24)
        scheme = "dark" if dark else "light"
        page = browser.new_page(viewport={"width": 1280, "height": 1380}, color_scheme=scheme)
        page.goto(made(records).url)
        page.locator("#rows tr").first.wait_for()
        page.screenshot(path=file)


main(sys.argv[1:])
