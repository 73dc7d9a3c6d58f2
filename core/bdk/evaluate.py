"""`bdk eval`: score anyone's reconstructions, wherever they were made."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bdk.errors import DataError, SpecError
from bdk.leakage import Audit, near_duplicates, perceptual_hashes
from bdk.metrics.baselines import CHANCE, chance_row, chosen, mean_image
from bdk.metrics.correlation import cross_correlation
from bdk.metrics.files import open_pictures
from bdk.metrics.grid import picture_grid
from bdk.metrics.networks import NetworkSet
from bdk.metrics.pairing import Paired, Pairing, pair
from bdk.metrics.resize import resize
from bdk.metrics.score import Score
from bdk.metrics.sources import Pictures, Repeated
from bdk.metrics.suite import score_images

MEAN_OF_TRAINING, MEAN_OF_STIMULI = "mean image (training)", "mean image (of these stimuli)"
NEAREST_TO_MADE = "nearest training image (to the reconstruction)"
THUMB = 32
"""Side of the copies by which a reconstruction's nearest training image is found."""
MEAN_SIDE = 256
"""Largest side of the mean image, which is smooth anyway."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of one set of reconstructions.

    Args:
        scores: by metric.
        baselines: by metric, by row: chance, and the mean image.
        stamps: what must stand beside every number.
        paired: the pictures.
    """

    scores: dict[str, Score]
    baselines: dict[str, dict[str, Score]]
    stamps: dict[str, Any]
    paired: Paired

    def to_json(self) -> dict[str, Any]:
        """The contents of ``metrics.json``."""
        rows = {row: {n: s.to_json() for n, s in scores.items()} for row, scores in self.baselines.items()}
        return {
            "stamps": self.stamps,
            "metrics": {name: score.to_json() for name, score in self.scores.items()},
            "baselines": rows,
        }


def evaluate(
    reconstructions: Path | str,
    stimuli: Path | str,
    *,
    preset: str = "mindeye",
    metrics: Sequence[str] | None = None,
    networks: Literal["published", "demo"] | NetworkSet = "published",
    how: Pairing = "auto",
    training: Path | str | None = None,
    reconstructions_key: str = "",
    stimuli_key: str = "",
    seed: int = 0,
    feature_cache: Path | None = None,
    stamps: Sequence[str] = (),
    device: str = "cpu",
) -> Evaluation:
    """Score reconstructions against stimuli that lie in files.

    Args:
        reconstructions: a folder of images, or an array file; S candidates per stimulus are allowed.
        stimuli: the same, one picture each.
        preset: recipe of the preprocessing.
        metrics: names; by default the eight of Table 1.
        networks: ``published`` (local weights manifest), ``demo`` (labelled stand-ins), or a set of one's own.
        how: pair by ``name``, by ``order``, or by name if both are folders (``auto``).
        training: training stimuli, for the rows of the mean image and of the training image nearest to each
            reconstruction; test stimuli that have a near-duplicate among them are reported. Without them the mean
            image is that of the stimuli themselves.
        reconstructions_key: array of a file that holds several.
        stimuli_key: the same for the stimuli.
        seed: of intervals and tests.
        feature_cache: folder in which features are kept between calls.
        stamps: marks for every number, such as ``oracle`` if the best of several was chosen by the stimulus.
        device: where networks run.

    Returns:
        Scores, baselines and stamps; nothing is written.

    Raises:
        DataError: files that are missing, unreadable, unsafe, of unknown scale, or do not match.
    """
    paired = pair(reconstructions, stimuli, how, reconstructions_key=reconstructions_key, stimuli_key=stimuli_key)
    _check(paired.stimuli)
    _check(paired.reconstructions)
    known = None if training is None else open_pictures(training, "training stimuli")
    if known is not None:
        _check(known)
    options: dict[str, Any] = {
        "preset": preset,
        "networks": _networks(networks, device),
        "metrics": metrics,
        "seed": seed,
        "feature_cache": feature_cache,
    }
    scores = score_images(paired.stimuli, paired.reconstructions, **options)
    scores = {name: score.stamped(*stamps) for name, score in scores.items()}
    facts = _stamps(paired, reconstructions, stimuli, preset, stamps)
    if known is not None:
        facts["training"] = _audit(paired.stimuli, known).summary()
    baselines = {CHANCE: chance_row(scores), **_baselines(paired, known, options)}
    return Evaluation(scores, baselines, facts, paired)


def write(evaluation: Evaluation, out: Path | str) -> list[Path]:
    """Write ``metrics.json`` and ``grid.png`` into a folder, both or neither.

    Raises:
        DataError: the folder cannot be written.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".bdk-") as aside:
            made = [Path(aside) / "metrics.json", Path(aside) / "grid.png"]
            made[0].write_text(json.dumps(evaluation.to_json(), indent=1, ensure_ascii=False) + "\n")
            paired = evaluation.paired
            picture_grid(paired.stimuli, paired.reconstructions, paired.candidates).save(made[1])
            for path in made:
                path.replace(out / path.name)
    except OSError as error:
        raise DataError(f"The results cannot be written: {error}.", where=str(out)) from error
    return [out / path.name for path in made]


def require_writable(out: Path | str) -> None:
    """Refuse an output folder that is a file, before any work.

    Raises:
        DataError: it is no folder.
    """
    if Path(out).exists() and not Path(out).is_dir():
        raise DataError(f"{out} is a file; --out takes a folder.")


def _check(pictures: Pictures) -> None:
    check = getattr(pictures, "check", None)
    if check is not None:
        check()


def _networks(networks: str | NetworkSet, device: str) -> NetworkSet:
    if isinstance(networks, NetworkSet):
        return networks
    if networks not in ("published", "demo"):
        raise SpecError(f"There is no set of networks {networks!r}.", mend="Use published or demo.")
    return NetworkSet.demo(device) if networks == "demo" else NetworkSet.from_manifest(device=device)


def _baselines(paired: Paired, training: Pictures | None, options: dict[str, Any]) -> dict[str, dict[str, Score]]:
    """Scores of pictures that need no brain: a mean image and, with training stimuli, the one nearest to each."""

    def of(pictures: Pictures | Repeated) -> dict[str, Score]:
        return score_images(paired.stimuli, pictures, **options)

    if training is None:
        return {MEAN_OF_STIMULI: of(_blank(paired.stimuli, paired))}
    nearest = chosen(training, nearest_to_made(paired, training))
    return {MEAN_OF_TRAINING: of(_blank(training, paired)), NEAREST_TO_MADE: of(nearest)}


def _blank(source: Pictures, paired: Paired) -> Repeated:
    side = min(MEAN_SIDE, max(source.picture(0).shape[-2:]))
    return Repeated(mean_image(source, side), len(paired.stimuli))


def nearest_to_made(paired: Paired, training: Pictures) -> np.ndarray:
    """Row of the training picture that correlates best with each reconstruction, in small copies.

    What the reconstructions are worth as mere queries into the training set; the stimuli are not looked at.
    """
    made = _thumbs(paired.reconstructions).reshape(len(paired.stimuli), paired.candidates, -1).mean(axis=1)
    fit = cross_correlation(made, _thumbs(training))
    return np.nan_to_num(fit, nan=-1.0).argmax(axis=1)


def _thumbs(pictures: Pictures) -> np.ndarray:
    """Small copies, N x (3 * 32 * 32)."""
    rows = [resize(pictures.picture(i)[None], THUMB, "area").flatten().numpy() for i in range(len(pictures))]
    return np.stack(rows)


def _audit(stimuli: Pictures, training: Pictures) -> Audit:
    sides = [
        perceptual_hashes(pictures.picture(i).numpy() for i in range(len(pictures))) for pictures in (stimuli, training)
    ]
    return near_duplicates(where="training stimuli", test_hashes=sides[0], other_hashes=sides[1])


def _stamps(
    paired: Paired, reconstructions: Path | str, stimuli: Path | str, preset: str, marks: Sequence[str]
) -> dict[str, Any]:
    names = hashlib.sha256("\n".join(paired.names).encode()).hexdigest()
    facts: dict[str, Any] = {
        "reconstructions": Path(reconstructions).name,
        "stimuli": Path(stimuli).name,
        "paired_by": paired.how,
        "candidates": paired.candidates,
        "test_set": f"{len(paired.names)} stimuli, sha256 of their names {names[:12]}",
        "preset": preset,
        "bdk": _version(),
        "selection": "not known: the reconstructions were made elsewhere",
    }
    return facts | ({"marks": list(marks)} if marks else {})


def _version() -> str:
    try:
        return metadata.version("brain-decoding-kit")
    except metadata.PackageNotFoundError:
        return "not installed"
