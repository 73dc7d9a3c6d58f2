"""Two runs compared, and one run carried elsewhere: what differs first, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdk.api import Run, load
from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.making import Tell
from bdk.plan import KINDS
from bdk.runs import execute, silent

BUNDLE = "bundle.json"
FORMAT = 1


@dataclass(frozen=True)
class Difference:
    """The first step whose output differs between two runs.

    Args:
        role: such as ``estimate.image``.
        reasons: options, inputs or files that differ, in words.
    """

    role: str
    reasons: tuple[str, ...]


def first_difference(first: Run, second: Run) -> Difference | None:
    """Compare two runs step by step, in the order of the pass; None if all steps are equal.

    A step differs by its key (options, code version or data), or, with equal keys, by its bytes.
    """
    ours, theirs = first.card["keys"], second.card["keys"]
    for role in sorted({*ours, *theirs}, key=_order):
        if role not in ours or role not in theirs:
            return Difference(role, (f"only the {'first' if role in ours else 'second'} run has this step",))
        if ours[role] != theirs[role]:
            return Difference(role, tuple(_reasons(_recipe(first, role), _recipe(second, role))))
        if changed := _changed_files(_recipe(first, role), _recipe(second, role)):
            return Difference(role, tuple(f"equal key, other bytes: {name}" for name in changed))
    return None


def differences(first: Run, second: Run) -> dict[str, Difference | None]:
    """`first_difference` of two runs (under the name ``""``), or of every row of two sweeps.

    Raises:
        BdkError: one is a sweep and the other is not.
    """
    ours, theirs = first.variants, second.variants
    if not ours or not theirs:
        return {"": first_difference(first, second)}
    found: dict[str, Difference | None] = {}
    for name in (*ours, *(other for other in theirs if other not in ours)):
        if name in ours and name in theirs:
            found[name] = first_difference(ours[name], theirs[name])
        else:
            found[name] = Difference("", (f"only the {'first' if name in ours else 'second'} sweep has this row",))
    return found


def export(run: Run, target: Path) -> Path:
    """Copy a run with all of its artifacts into one folder.

    Args:
        run: a single run (not a sweep).
        target: a folder that does not exist yet; it is written aside and renamed.

    Raises:
        DataError: the target exists.
        ArtifactError: the store no longer holds one of the run's steps.
    """
    if target.exists():
        raise DataError(f"{target} exists.", where="bdk export", mend="Choose a folder that does not exist yet.")
    keys = run.card["keys"]
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(run.folder, aside / "run")
    for role, key in keys.items():
        if not (aside / "store" / key).exists():
            shutil.copytree(run.store.need(key, role).path, aside / "store" / key)
    files = {str(p.relative_to(aside)): file_digest(p) for p in sorted(aside.rglob("*")) if p.is_file()}
    (aside / BUNDLE).write_text(json.dumps({"format": FORMAT, "files": files}, indent=1))
    aside.rename(target)
    return target


def opened(bundle: Path) -> Run:
    """The run inside a bundle, after checking every file of it.

    Raises:
        DataError: it is no bundle, or a file is missing or has another checksum.
    """
    listing = bundle / BUNDLE
    if not listing.is_file():
        raise DataError(f"{bundle} is no bundle: it has no {BUNDLE}.", mend="Make one: bdk export RUN BUNDLE.")
    content = json.loads(listing.read_text())
    if content.get("format") != FORMAT:
        raise DataError(f"{bundle} has format {content.get('format')}, this version reads {FORMAT}.")
    for name, checksum in content["files"].items():
        path = bundle / name
        if not path.is_file() or file_digest(path) != checksum:
            raise DataError(f"{name} is missing or changed.", where=str(bundle), mend="Get the bundle again.")
    return load(bundle / "run", store=bundle / "store")


def reproduce(bundle: Path, out: Path, *, tell: Tell = silent) -> Difference | None:
    """Run a bundle's spec again on an empty store and compare every step's bytes with the bundle's.

    Args:
        bundle: folder that `export` wrote.
        out: folder for the new run and its store.
        tell: takes progress events.

    Returns:
        None if everything is equal, else the first step that diverged.
    """
    original = opened(bundle)
    execute([str(original.folder / "spec.toml")], out=out / "run", store=out / "store", tell=tell)
    return first_difference(original, load(out / "run", store=out / "store"))


def _order(role: str) -> tuple[int, str]:
    return KINDS.index(role.split(".")[0]), role


def _recipe(run: Run, role: str) -> Mapping[str, Any]:
    return run.artifact(role).recipe


def _reasons(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    ours, theirs = dict(_flat(first["options"])), dict(_flat(second["options"]))
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            what = {"version": "code version", "source": "data or weights"}.get(key.split(".")[-1], "option")
            yield f"{what} {key}: {ours.get(key, 'not set')!r} against {theirs.get(key, 'not set')!r}"
    for role in sorted({*first["inputs"], *second["inputs"]}):
        if first["inputs"].get(role) != second["inputs"].get(role):
            yield f"input {role}"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _changed_files(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    ours, theirs = first["files"], second["files"]
    return [
        name
        for name in sorted({*ours, *theirs})
        if ours.get(name, {}).get("sha256") != theirs.get(name, {}).get("sha256")
    ]
