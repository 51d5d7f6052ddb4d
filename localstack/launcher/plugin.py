"""Installs the plugin package as pip would, without a build backend to download first."""

import shutil
import tomllib
from pathlib import Path

from .paths import PACKAGE, PYPROJECT


def sources() -> list[Path]:
    return [PYPROJECT, *sorted(file for ending in ("py", "json") for file in PACKAGE.rglob(f"*.{ending}"))]


def install(destination: Path) -> None:
    """Into a folder on sys.path or PYTHONPATH: the package, and the metadata by which LocalStack finds its plugins."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    name = project["name"].replace("-", "_")
    metadata = destination / f"{name}-{project['version']}.dist-info"
    for old in (destination / PACKAGE.name, *destination.glob(f"{name}-*.dist-info")):
        if old.exists():
            shutil.rmtree(old)
    shutil.copytree(PACKAGE, destination / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (metadata / "entry_points.txt").write_text(entry_points(project["entry-points"]))


def entry_points(groups: dict[str, dict[str, str]]) -> str:
    return "\n".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in groups.items()
    )
