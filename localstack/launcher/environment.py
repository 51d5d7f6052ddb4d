"""The Python environment that LocalStack runs in, in two layers.

`dependencies-<Python>-<hash>` holds what requirements.txt pins and takes about a minute to make.
`emulator-<Python>-<hash>` lies over it, holds the plugin package and takes no time, so that a change of the package's
sources does not install everything anew. Each Python, such as 3.12, has its own, because the packages hold code that is
compiled for one.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

from . import paths, plugin
from .errors import EmulatorError

HASH_LENGTH = 16
PYTHON_VERSION = "%d.%d" % sys.version_info[:2]
COMPLETE = ".complete"


def prepare() -> Path:
    """Makes what is missing and returns the environment's folder. Safe to run several times at once."""
    cache = paths.cache()
    cache.mkdir(parents=True, exist_ok=True)
    environment = cache / _name("emulator", [paths.REQUIREMENTS, *plugin.sources()])
    if _is_complete(environment):
        return environment
    with _lock(cache / "setup.lock"):
        dependencies = cache / _name("dependencies", [paths.REQUIREMENTS])
        if not _is_complete(dependencies):
            _make_dependencies(dependencies)
        if not _is_complete(environment):
            _make_overlay(environment, dependencies)
    return environment


def python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _make_dependencies(folder: Path) -> None:
    print(f"emulator: installing LocalStack into {folder} (once, about a minute)", file=sys.stderr)
    _make_venv(folder)
    pip = [python(folder), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
    if subprocess.run([*pip, "--require-hashes", "-r", paths.REQUIREMENTS], stdout=sys.stderr).returncode:
        raise EmulatorError(
            "pip could not install requirements.txt, see above. It needs a package index it can reach "
            "(its own settings apply: PIP_INDEX_URL, a pip.conf, a proxy)."
        )
    (folder / COMPLETE).touch()


def _make_overlay(folder: Path, dependencies: Path) -> None:
    _make_venv(folder, "--without-pip")
    site_packages = _site_packages(folder)
    (site_packages / "dependencies.pth").write_text(f"{_site_packages(dependencies)}\n")
    plugin.install(site_packages)
    (folder / COMPLETE).touch()


def _make_venv(folder: Path, *options: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", *options, folder], stdout=subprocess.PIPE, text=True)
    if made.returncode:
        raise EmulatorError(
            f"{sys.executable} -m venv failed: {made.stdout.strip()}\n"
            f"On Debian and Ubuntu it needs the package python{PYTHON_VERSION}-venv."
        )


def _site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))


def _is_complete(environment: Path) -> bool:
    return (environment / COMPLETE).exists() and python(environment).exists()  # its python is a link, which can break


def _name(layer: str, files: list[Path]) -> str:
    return f"{layer}-{PYTHON_VERSION}-{_hash(files)}"


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(paths.FOLDER)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:HASH_LENGTH]


@contextmanager
def _lock(file: Path):
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
