"""``bdk plugin new``: a package for a part of one's own, written from templates. It installs and its tests pass."""

from __future__ import annotations

import importlib.resources
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdk import registry as registries
from bdk.components import FAMILIES
from bdk.errors import SpecError

KINDS = (*FAMILIES, "dataset", "space", "metric")
_LAYOUT = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".github/workflows/test.yml": "test.yml",
    "src/{package}/__init__.py": "door.py",
    "src/{package}/configs.py": "configs.py",
    "src/{package}/{module}.py": "module.py",
    "tests/test_{module}.py": "test.py",
}
"""Files of a package, and the template of each."""
_WITHOUT_OPTIONS = ("space", "metric")


@dataclass(frozen=True)
class Written:
    """What was written, and what to do with it."""

    files: tuple[Path, ...]
    next_steps: str


def write(kind: str, name: str, into: Path, *, single_file: bool = False) -> Written:
    """Write a package (or one file) for a new part.

    Args:
        kind: a family, ``dataset``, ``space`` or ``metric``.
        name: how a spec will call the part.
        into: folder in which the package's folder, or the file, is made.
        single_file: everything in one file, for ``--plugin``.

    Raises:
        SpecError: an unknown kind, a name that cannot be one or is taken, or files that are there already.
    """
    words = _words(kind, name)
    root = into if single_file else into / words["distribution"]
    wanted = {f"{words['module']}.py": "single.py"} if single_file else _layout(kind, words)
    present = [root / path for path in wanted if (root / path).exists()]
    if present or (not single_file and root.exists() and any(root.iterdir())):
        raise SpecError(f"{present[0] if present else root} is there already.", mend="Choose another name or --into.")
    files = []
    for path, template in wanted.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_rendered(template, words), encoding="utf-8")
        files.append(target)
    return Written(tuple(files), _rendered("single_next.txt" if single_file else "next.txt", {**words, "root": root}))


def _layout(kind: str, words: dict[str, Any]) -> dict[str, str]:
    layout = {path.format(**words): template for path, template in _LAYOUT.items()}
    if kind in _WITHOUT_OPTIONS:
        layout.pop(f"src/{words['package']}/configs.py")
    return layout


def _words(kind: str, name: str) -> dict[str, Any]:
    """The names that templates use."""
    if kind not in KINDS:
        raise SpecError(f"There is no kind of part {kind!r}.", mend=f"Kinds: {', '.join(KINDS)}.")
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(module) or module == "configs":
        raise SpecError(
            f"{name!r} cannot name a part.",
            mend="Use lower-case letters, digits and single hyphens, such as gated-mean.",
        )
    _require_free(kind, name)
    return {
        "kind": kind,
        "name": name,
        "module": module,
        "Class": "".join(word.capitalize() for word in name.split("-")),
        "package": f"bdk_{module}",
        "distribution": f"bdk-{name}",
        "api": ">=1,<2",
        "section": {"dataset": "data"}.get(kind, kind),
        "has_options": kind not in _WITHOUT_OPTIONS,
    }


def _require_free(kind: str, name: str) -> None:
    known = registries.load()
    table = "components" if kind in FAMILIES else f"{kind}s"
    key = str((kind, name)) if kind in FAMILIES else f"{name}/grid" if kind == "space" else name
    owner = known.owners.get((table, key))
    if owner:
        raise SpecError(f"{kind} {name!r} is offered already, by {owner}.", mend="Choose another name.")


def _rendered(template: str, words: dict[str, Any]) -> str:
    import jinja2

    folder = importlib.resources.files(__name__).joinpath("templates")
    loader = jinja2.FunctionLoader(lambda file: folder.joinpath(file).read_text(encoding="utf-8"))
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["imports"] = sorted_imports
    text = environment.get_template(f"{template}.jinja").render(words)
    return re.sub(r"(?m)^((?:from|import) .+)\n\n\n(?=[A-Z])", r"\1\n\n", text)  # one blank line before a constant


def sorted_imports(text: str, package: str) -> str:
    """Import lines, merged by module, in three groups: the standard library, installed packages, the package itself."""
    merged: dict[tuple[bool, str], set[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, module, *rest = line.split(maxsplit=3)
        merged.setdefault((word == "from", module), set()).update(rest[1].split(", ") if word == "from" else [line])

    def group(module: str) -> int:
        top = module.partition(".")[0]
        return 0 if top in sys.stdlib_module_names else 2 if top == package else 1

    lines: list[list[str]] = [[], [], []]
    for (is_from, module), found in sorted(merged.items(), key=lambda item: (item[0][0], item[0][1].lower())):
        ordered = ", ".join(sorted(found, key=lambda name: (not name.isupper(), not name[0].isupper(), name)))
        lines[group(module)].append(f"from {module} import {ordered}" if is_from else ordered)
    return "\n\n".join("\n".join(part) for part in lines if part)
