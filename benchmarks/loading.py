"""Gathering batches of betas: a prepared folder's memory map, against what published code reads from.

    python benchmarks/loading.py [--quick]

3,000 trials x 15,724 voxels (quick: 600), float32. Every competitor delivers the same random batches of 64 rows in
turns, in CPU time on one thread, the file in the page cache; a webdataset can only be read in order, so it delivers as
many rows in its own order. Goals: at least 10 times faster than webdataset, at most 2.5 times a raw gather.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from bdk.data import BrainData
from interleaved import race, table, verdict

VOXELS, BATCH, BATCHES = 15_724, 64, 8


def write(folder: Path, trials: int) -> None:
    """The same betas as .npy, as one tar of .npy members, and as hdf5 chunked by row with and without gzip."""
    betas = np.lib.format.open_memmap(folder / "betas.npy", "w+", np.float32, (trials, VOXELS))
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "betas.tar", "w") as archive:
        for row in range(trials):
            betas[row] = rng.standard_normal(VOXELS, dtype=np.float32)
            stream = io.BytesIO()
            np.save(stream, betas[row])
            member = tarfile.TarInfo(f"{row:06d}.betas.npy")
            member.size = stream.tell()
            stream.seek(0)
            archive.addfile(member, stream)
    betas.flush()
    for name, packing in (("rows", None), ("gzip", "gzip")):
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            file.create_dataset(
                "betas", data=betas, chunks=(16, VOXELS), compression=packing, compression_opts=1 if packing else None
            )


def brain_data(folder: Path) -> BrainData:
    """The memory map in the form that the pass reads."""
    betas = np.load(folder / "betas.npy", mmap_mode="r")
    count = len(betas)
    return BrainData(
        name="benchmark",
        subject="none",
        betas=betas,
        trial_stimulus=np.arange(count) // 3,
        trial_run=np.zeros(count, dtype=np.int64),
        stimulus_ids=tuple(map(str, range((count + 2) // 3))),
        split=np.full((count + 2) // 3, "train"),
        split_name="none",
        images=None,
        captions=None,
        rois={},
        fingerprint="",
    )


def competitors(folder: Path, trials: int) -> dict[str, Callable[[], object]]:
    """What delivers `BATCHES` batches, by name."""
    rng = np.random.default_rng(1)
    batches = [rng.choice(trials, BATCH, replace=False) for _ in range(BATCHES)]
    raw, data = np.load(folder / "betas.npy", mmap_mode="r"), brain_data(folder)
    stimuli = [np.unique(batch // 3) for batch in batches]
    found: dict[str, Callable[[], object]] = {
        "raw gather": lambda: [raw[batch] for batch in batches],
        "BrainData.gather": lambda: [data.gather(batch) for batch in batches],
        "BrainData.averaged (3 trials)": lambda: [data.averaged(rows) for rows in stimuli],
    }
    for name in ("rows", "gzip"):
        found[f"hdf5, {name}"] = lambda name=name: _hdf5(folder / f"{name}.hdf5", batches)
    webdataset = _webdataset(folder / "betas.tar")
    return found | ({"webdataset": webdataset} if webdataset else {})


def _hdf5(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    with h5py.File(path) as file:
        return [file["betas"][np.sort(batch)] for batch in batches]


def _webdataset(path: Path) -> Callable[[], object] | None:
    try:
        import webdataset
    except ImportError:
        print("webdataset is not installed: pip install webdataset", file=sys.stderr)
        return None

    def read() -> list[object]:
        loader = webdataset.WebDataset(str(path), shardshuffle=False).decode().to_tuple("betas.npy").batched(BATCH)
        return [batch for batch, _ in zip(loader, range(BATCHES), strict=False)]

    return read


def main() -> None:
    """Write the files, let them race, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    trials = 600 if parser.parse_args().quick else 3000
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), trials)
        times = race(competitors(Path(scratch), trials), turns=5)
    raw, ours = times["raw gather"], times["BrainData.gather"]
    rows = [
        (name, f"{time.median / BATCHES:.2f}", f"{time.least / BATCHES:.2f}", f"{time.median / raw.median:.2f}")
        for name, time in times.items()
    ]
    table(("how", "ms a batch, median", "least", "against raw"), rows)
    print(f"at most 2.5 times a raw gather: {ours.median / raw.median:.2f}, {verdict(ours.median <= 2.5 * raw.median)}")
    if "webdataset" in times:
        factor = times["webdataset"].median / ours.median
        print(f"at least 10 times faster than webdataset: {factor:.1f}, {verdict(factor >= 10)}")


if __name__ == "__main__":
    main()
