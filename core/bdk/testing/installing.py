"""Puts packages on an import path with the metadata that pip would write, without pip: for tests of plugins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path


def install(
    site: Path,
    distribution: str,
    modules: Mapping[str, str],
    entry_points: Mapping[str, str],
    *,
    version: str = "0.1.0",
    group: str = "bdk",
) -> None:
    """Write modules and their ``dist-info`` into a folder that is, or will be, on ``sys.path``.

    Args:
        site: the folder.
        distribution: its name.
        modules: source by path, such as ``{"bdk_x/__init__.py": "..."}``.
        entry_points: ``module`` or ``module:object`` by name.
        version: of the distribution.
        group: of the entry points.
    """
    for name, source in modules.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in entry_points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def install_project(site: Path, root: Path) -> str:
    """Install a project of the layout that ``bdk plugin new`` writes; returns its distribution's name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = root / "src"
    modules = {
        path.relative_to(source).as_posix(): path.read_text(encoding="utf-8") for path in sorted(source.rglob("*.py"))
    }
    install(site, project["name"], modules, project["entry-points"]["bdk"], version=project["version"])
    return project["name"]
