"""What `bdk data check` finds: everything that must hold of a prepared folder or of described arrays, and the facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bdk.data.brain_data import BrainData
from bdk.data.checks import require_finite, varying_voxels
from bdk.data.prepared import Progress, read_manifest, read_prepared, verify
from bdk.errors import DataError


def inspect(path: Path, progress: Progress = lambda stage, done, total: None) -> dict[str, Any]:
    """Check a prepared folder, or the arrays that a TOML file describes, and say what they hold.

    Returns:
        Facts by name: sizes, repeats, split, what the betas look like.

    Raises:
        DataError: the first thing found wrong.
    """
    if path.is_dir():
        manifest = read_manifest(path)
        verify(path, manifest, checksums=True, progress=progress)
        data = read_prepared(path, manifest)
        _compare(manifest, data, path)
    elif path.suffix == ".toml":
        from bdk.data.arrays import Arrays
        from bdk.data.configs import ArraysConfig

        data = Arrays(ArraysConfig(path=str(path))).load()
    else:
        raise DataError(
            "Neither a prepared folder nor a .toml that describes arrays is here.",
            where=str(path),
            mend="bdk data check FOLDER, or bdk data check FILE.toml",
        )
    require_finite(data.betas, where=str(path))
    varying_voxels(data.betas, "refuse", where=str(path))
    return facts(data)


def _compare(manifest: dict[str, Any], data: BrainData, folder: Path) -> None:
    """What the manifest says of the contents, against the contents."""
    found = {
        "split_sha256": data.split_sha256,
        **{f"sizes.{side}": int((np.asarray(data.split) == side).sum()) for side in ("train", "test")},
        "sizes.voxels": data.voxels,
    }
    stated = {"split_sha256": manifest.get("split_sha256")}
    stated |= {f"sizes.{key}": value for key, value in manifest.get("sizes", {}).items()}
    for key, value in found.items():
        if stated.get(key, value) != value:
            raise DataError(f"The manifest says {key} = {stated[key]}, the files say {value}.", where=str(folder))


def facts(data: BrainData) -> dict[str, Any]:
    """What there is to say of a data set."""
    shown = data.repeats[data.repeats > 0]
    mean, deviation = _spread(data.betas)
    return {
        "name": data.name,
        "subject": data.subject,
        "trials": len(data.betas),
        "voxels": data.voxels,
        "stimuli": len(data.stimulus_ids),
        "train": len(data.rows("train")),
        "test": len(data.rows("test")),
        "repeats": f"{shown.min()} to {shown.max()}",
        "runs": len(np.unique(data.trial_run)),
        "split": data.split_name,
        "split_sha256": data.split_sha256,
        "images": "none" if data.images is None else " x ".join(map(str, data.images[0].shape)),
        "captions": "none" if data.captions is None else f"{min(map(len, data.captions))} or more a stimulus",
        "rois": {name: int(np.sum(members)) for name, members in data.rois.items()},
        "betas": f"mean {mean:.3f}, standard deviation {deviation:.3f}",
        "fingerprint": data.fingerprint,
    }


def _spread(betas: np.ndarray) -> tuple[float, float]:
    """Mean and deviation over up to 2,000 trials spread evenly."""
    some = np.asarray(betas[:: max(1, len(betas) // 2000)], dtype=np.float64)
    return float(some.mean()), float(some.std())
