import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import browser as of_browser  # noqa: E402


@pytest.fixture(scope="session")
def chromium():
    with of_browser.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """2,000 findings in 24 accounts."""
    folder = tmp_path_factory.mktemp("few") / "records"
    of_browser.sample(folder, 2_000, 24)
    return of_browser.made(folder)


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """50,000 findings in 200 accounts."""
    folder = tmp_path_factory.mktemp("many") / "records"
    of_browser.sample(folder, 50_000, 200)
    return of_browser.made(folder)


@pytest.fixture
def open_page(chromium):
    """Opens a report in a new page, and closes it after the test. No page may ask anything of anybody, or fail."""
    pages = []

    def open_page(made, width=1280, **options):
        page = chromium.new_page(viewport={"width": width, "height": 900}, **options)
        page.asked, page.failed = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.failed.append(str(error)))
        page.on("dialog", lambda dialog: page.failed.append(dialog.message) or dialog.dismiss())
        page.goto(made.url)
        page.locator("#rows tr").first.wait_for()
        pages.append((page, made))
        return page

    yield open_page
    for page, made in pages:
        asked, failed = page.asked, page.failed
        page.close()
        assert asked == [made.url]
        assert failed == []
