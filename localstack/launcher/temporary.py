"""The temporary folder of one emulator. Its lock tells a later start whether its owner is still alive."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "autoremediate-emulator-"
UNLOCKED_PREFIX = "autoremediate-starting-"


class TemporaryFolder:
    def __init__(self) -> None:
        # It gets its final name once it is locked: a start elsewhere never takes it for abandoned.
        unlocked = Path(tempfile.mkdtemp(prefix=UNLOCKED_PREFIX))
        self._lock = _lock(unlocked)
        self.path = unlocked.with_name(PREFIX + unlocked.name.removeprefix(UNLOCKED_PREFIX))
        unlocked.rename(self.path)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_abandoned() -> None:
    """What emulators left behind that were killed together with their guard."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None  # gone, or another user's
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
