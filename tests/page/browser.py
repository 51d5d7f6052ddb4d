"""What the tests and the picture share: sample records, the report of them, and a browser."""

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

BINARIES = Path(os.environ["CARGO_TARGET_DIR"]) / "debug"
DAYS, TO = 14, "2026-11-29"
QUIET = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
).split()


@dataclass
class Made:
    """A page, with what `--json` says of the same records."""

    page: Path
    said: dict
    folder: Path

    @property
    def url(self):
        return self.page.as_uri()


def sample(folder, findings, accounts):
    """Writes sample records."""
    arguments = [f"--findings={findings}", f"--accounts={accounts}", f"--days={DAYS}", f"--to={TO}"]
    subprocess.run([BINARIES / "sample-records", folder, *arguments], check=True)


def report(folder, *arguments, code=0):
    """What `autoremediate report` prints of a folder's records."""
    command = [BINARIES / "autoremediate", "report", f"--records={folder}", f"--days={DAYS}", f"--to={TO}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr
    return done.stdout


def made(folder, code=0):
    """The page of a folder's records."""
    page = folder.parent / f"{folder.name}.html"
    return Made(page, json.loads(report(folder, "--json", f"--html={page}", code=code)), folder)


@contextmanager
def chromium():
    """A browser without a window. Chromium refuses root a sandbox."""
    with sync_playwright() as playwright:
        sandbox = [] if os.getuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=QUIET + sandbox)
        yield browser
        browser.close()
