"""Preparing one subject of NSD at its real size from synthetic files: peak memory and time.

    python benchmarks/prepare.py FOLDER [--sessions 40] [--zscore session train] [--trials single] [--keep]

Writes 40 sessions of 750 trials in NSD's hdf5 form (81 x 104 x 83 volumes of which only the 15,724 voxels of the mask
hold numbers) and session 1 as NIfTI too, prepares them in a process of its own, and prints its peak resident memory,
pages of mapped files included. The goal is 4 GB. The brick of 73,000 pictures has NSD's 425 pixels, all black and so
without room on the disk; the pictures that are copied out of it take 5.4 GB there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import nibabel
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "core" / "data"))
SHAPE, VOXELS, BRICK = (81, 104, 83), 15_724, (73_000, 425, 425, 3)
GOAL = 4.0


def write_tree(folder: Path, sessions: int):
    """A tree whose volumes are of real size."""
    import mini_nsd

    tree = mini_nsd.make(folder, sessions=0)
    mask = np.full(SHAPE, -1, np.int16)
    chosen = np.random.default_rng(0).choice(mask.size, VOXELS, replace=False)
    mask.reshape(-1)[:107_104] = 0
    mask.reshape(-1)[chosen] = 1
    for name in tree.volumes:
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tree.roi(name))
    pictures = folder / "nsd/nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    with h5py.File(pictures, "w") as file:
        file.create_dataset("imgBrick", BRICK, "u1", chunks=(1, *BRICK[1:]))
    for number in range(1, sessions + 1):
        write_session(tree, number, mask > 0)
        print(f"wrote session {number} of {sessions}", file=sys.stderr, end="\r")
    return tree, mask > 0


def write_session(tree, number: int, mask: np.ndarray) -> None:
    """A session in which only the voxels of the mask hold numbers; chunks of one voxel's trials, as NSD's."""
    numbers = np.random.default_rng(number).integers(-3000, 3000, (VOXELS, 750), dtype=np.int16)
    tree.betas.mkdir(parents=True, exist_ok=True)
    with h5py.File(tree.session(number), "w") as file:
        betas = file.create_dataset("betas", (750, *SHAPE[::-1]), "i2", chunks=(750, 1, 1, 1))
        for voxel, (x, y, z) in enumerate(np.argwhere(mask)):
            betas[:, z, y, x] = numbers[voxel]


def write_nifti(tree, mask: np.ndarray, path: Path) -> None:
    """Session 1 in NSD's other form."""
    volume = np.zeros((*SHAPE, 750), np.int16)
    volume[mask] = np.random.default_rng(1).integers(-3000, 3000, (VOXELS, 750), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)


def child(code: str) -> tuple[float, float]:
    """Peak resident memory in GB and seconds of a process that runs some code."""
    # not getrusage: its maximum begins with the size of the process that started this one
    ending = "\nimport re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1e6, time.monotonic() - start


def prepare(given: argparse.Namespace, tree, out: Path, zscore: str) -> None:
    """Prepare the tree in a process of its own and print what that took."""
    code = (
        "from pathlib import Path; from bdk.data.nsd.options import Options; from bdk.data.nsd.prepare import prepare\n"
        f"prepare(Options(Path({str(tree.root)!r}), 1, Path({str(out)!r}), split='nsd{given.sessions}', "
        f"zscore={zscore!r}, trials={given.trials!r}, captions=Path({str(tree.coco)!r})))"
    )
    memory, seconds = child(code)
    size, trials = (out / "betas.npy").stat().st_size / 1e9, given.sessions * 750
    print(f"{trials:,} trials x {VOXELS:,} voxels, {given.trials}, z-scored: {zscore}; {size:.2f} GB written")
    print(f"peak memory {memory:.2f} GB (goal {GOAL}): {'met' if memory <= GOAL else 'NOT MET'}; {seconds:.0f} s")


def main() -> None:
    """Write, prepare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=40, choices=(37, 40))
    parser.add_argument("--zscore", nargs="+", default=["session"], help="one preparation for each of these")
    parser.add_argument("--trials", default="single")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    start = time.process_time()
    tree, mask = write_tree(given.folder, given.sessions)
    written = time.process_time() - start
    write_nifti(tree, mask, given.folder / "betas_session01.nii.gz")
    out = given.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    read = (
        "import nibabel, numpy as np; from pathlib import Path; from bdk.data.nsd.betas import read_session\n"
        f"mask = np.asanyarray(nibabel.load({str(tree.roi('nsdgeneral'))!r}).dataobj) > 0\n"
        "one, two = (read_session(Path(path), mask) for path in "
        f"({str(given.folder / 'betas_session01.nii.gz')!r}, {str(tree.session(1))!r}))\n"
        "assert (one == two).all()"
    )
    print("both forms of session 1: {:.2f} GB at most, {:.0f} s, equal".format(*child(read)))
    for zscore in given.zscore:
        prepare(given, tree, out, zscore)
        shutil.rmtree(out)
    print(f"(writing the synthetic files: {written:.0f} s of one core)", file=sys.stderr)
    if not given.keep:
        shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
