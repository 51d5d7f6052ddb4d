"""Where things are."""

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
PACKAGE = FOLDER / "localstack_remediation"
PYPROJECT = FOLDER / "pyproject.toml"
REQUIREMENTS = FOLDER / "requirements.txt"
SETTINGS = FOLDER / "emulator.env"


def cache() -> Path:
    if folder := os.environ.get("AUTOREMEDIATE_CACHE"):
        return Path(folder).resolve()
    target = os.environ.get("CARGO_TARGET_DIR") or FOLDER.parent / "target"
    return Path(target).resolve() / "emulator"
