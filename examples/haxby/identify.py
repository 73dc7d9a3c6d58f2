"""Eight-way category identification on real brain data, leave-one-run-out, beside chance.

    python examples/haxby/identify.py FOLDER [--encoder ridge] [--encoder mamba]

FOLDER holds ``bold.nii.gz``, ``mask.nii.gz`` and ``attributes.txt`` (see README.md).
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from bdk import registry
from bdk.runs import execute
from bdk.targets import backbone
from torch.nn.functional import normalize

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Score:
    """Correct identifications of one encoder.

    Args:
        hits: of the held-out blocks, run by run.
        blocks: how many there were in each run.
        ways: categories to choose from.
    """

    hits: tuple[int, ...]
    blocks: tuple[int, ...]
    ways: int

    @property
    def accuracy(self) -> float:
        """Share of all held-out blocks."""
        return sum(self.hits) / sum(self.blocks)


def identify(folder: Path, encoder: str, out: Path, store: Path | None = None) -> Score:
    """Fit one encoder with each run held out, and name the category of every held-out block.

    A block counts if the predicted token is nearer (cosine) to the code of its own category than to any other's.

    Args:
        folder: with the three files.
        encoder: ``ridge`` or ``mamba``: which of the two specs here is run.
        out: folder for the run.
        store: artifact store; None for the user's own.
    """
    files = {"bold": "bold.nii.gz", "mask": "mask.nii.gz", "events": "attributes.txt"}
    overrides = [(f"data.{key}", str(folder / name)) for key, name in files.items()]
    finished = execute([str(HERE / f"{encoder}.toml")], out=out, store=store, overrides=overrides, keep_going=False)
    hits, blocks, ways = [], [], 0
    for run in finished.plan.runs:
        index = finished.store.need(run.keys["data"], "data").json("index.json")
        estimates = finished.store.need(run.keys["estimate.text"], "estimate").array("test_samples.npy")
        found, truth, ways = _named(estimates.mean(axis=1)[:, 0], index)
        hits.append(int((found == truth).sum()))
        blocks.append(len(truth))
    return Score(tuple(hits), tuple(blocks), ways)


def _named(predicted: np.ndarray, index: dict) -> tuple[np.ndarray, np.ndarray, int]:
    """Category that each prediction is nearest to, the true one, and how many there are."""
    groups = np.array(index["groups"])
    names = np.unique(groups)
    codes = backbone(registry.load().space("label-code/text")).pooled([(name,) for name in names])
    similarity = normalize(torch.from_numpy(np.array(predicted)), dim=-1) @ codes.T
    return names[similarity.argmax(dim=1).numpy()], groups[index["test_rows"]], len(names)


def report(scores: dict[str, Score]) -> str:
    """A table of accuracies beside chance."""
    first = next(iter(scores.values()))
    lines = [f"{first.ways}-way category identification, leave-one-run-out, {sum(first.blocks)} blocks"]
    lines.append(f"{'chance':<8} {1 / first.ways:6.1%}")
    for name, score in scores.items():
        lines.append(f"{name:<8} {score.accuracy:6.1%}   by run: {' '.join(map(str, score.hits))} of {score.blocks[0]}")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", action="append", choices=("ridge", "mamba"))
    parser.add_argument("--out", type=Path, help="folder for the runs; a temporary one by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        chosen = given.encoder or ["ridge", "mamba"]
        print(report({name: identify(given.folder, name, out / name) for name in chosen}))


if __name__ == "__main__":
    main()
