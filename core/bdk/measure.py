"""Judges a run: image metrics, retrieval scores, baselines and noise ceiling, each with its interval and its chance."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from bdk.devices import device
from bdk.making import Making
from bdk.metrics import NetworkSet, Score, baseline_scores, retrieval_scores, score_images
from bdk.metrics.baselines import CHANCE
from bdk.plan import space_from
from bdk.selection import ORACLE_STAMP
from bdk.spec import Measure

RETRIEVAL = ("image_retrieval", "brain_retrieval")


def make(making: Making) -> None:
    """Score the chosen pictures and the estimates.

    Files: ``metrics.json``, ``per_stimulus.safetensors`` (float64, one number per test stimulus and metric).
    """
    judge = _Judge(making)
    scores = judge.image_scores() | judge.retrieval_scores()
    if making.options["oracle"]:
        scores = {name: score.stamped(ORACLE_STAMP) for name, score in scores.items()}
    document = {
        "stamps": judge.stamps(),
        "metrics": {name: score.to_json() for name, score in scores.items()},
        "baselines": judge.baselines(),
    }
    (making.out / "metrics.json").write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False))
    rows = {
        name: torch.from_numpy(np.asarray(score.per_stimulus, dtype=np.float64))
        for name, score in scores.items()
        if score.per_stimulus is not None
    }
    save_file(rows, making.out / "per_stimulus.safetensors")


class _Judge:
    """The inputs of one measure step, and what is asked of them."""

    def __init__(self, making: Making) -> None:
        self.making = making
        self.measure = Measure.model_validate(making.options["measure"])
        self.data = making.inputs["data"]
        self.index = self.data.json("index.json")
        self.spaces = {name: space_from(plain) for name, plain in making.options["spaces"].items()}
        self.test_rows = np.asarray(self.index["test_rows"])
        self.train_rows = np.asarray(self.index["train_rows"])

    @cached_property
    def networks(self) -> NetworkSet:
        """Published networks from the weights manifest; on the demo world its labelled stand-ins."""
        kind = str(device())
        return NetworkSet.demo(kind) if self.index["world"].get("name") == "demo" else NetworkSet.from_manifest()

    def image_scores(self) -> dict[str, Score]:
        """Metrics of the chosen pictures; nothing where nothing was decoded or there is no picture to compare with."""
        names = [name for name in self._wanted() if name not in RETRIEVAL]
        if "decode" not in self.making.inputs or not self.data.has("images.npy") or not names:
            return {}
        decoded = self.making.inputs["decode"]
        candidates, chosen = decoded.array("candidates.npy"), decoded.array("chosen.npy")
        pictures = np.stack([candidates[row, pick] for row, pick in enumerate(chosen)])
        return score_images(self._stimuli(self.test_rows), pictures, metrics=names, **self._options())

    def retrieval_scores(self) -> dict[str, Score]:
        """Image and brain retrieval among the test stimuli, in the first image guide's space, or else the first's."""
        names = [name for name in self._wanted() if name in RETRIEVAL]
        if not names or len(self.test_rows) < 2:
            return {}
        brain, truth, about = self._embeddings()
        found = retrieval_scores(
            brain, truth, pool=self.measure.pool, draws=self.measure.draws, seed=self.measure.seed
        )
        return {name: _noted(found[name], about) for name in names}

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Rows of chance, mean training image, and the training image nearest to what was read from the brain."""
        names = [name for name in self._wanted() if name not in RETRIEVAL]
        rows: dict[str, dict[str, Any]] = {}
        if self.data.has("images.npy") and names and "decode" in self.making.inputs:
            found = baseline_scores(
                self._stimuli(self.test_rows),
                self._stimuli(self.train_rows),
                nearest_rows=self._nearest_training(),
                metrics=names,
                **self._options(),
            )
            rows = {row: {name: score.to_json() for name, score in scores.items()} for row, scores in found.items()}
        pool = min(self.measure.pool, len(self.test_rows))
        rows.setdefault(CHANCE, {}).update({name: {"value": 1 / pool} for name in RETRIEVAL})
        return rows

    def stamps(self) -> dict[str, Any]:
        """What must stand beside every number: synthetic data, stand-ins, oracle selection, split."""
        stamps = dict(self.index["stamps"])
        for name, space in self.spaces.items():
            if space.stamp:
                stamps[f"space {name}"] = space.stamp
        for role, artifact in self.making.inputs.items():
            if role.startswith("retrieve."):
                for key, value in artifact.json("about.json")["stamps"].items():
                    stamps[f"{role} {key}"] = value
            if role == "decode":
                stamps |= artifact.json("about.json")["stamps"]
        stamps["split"] = f"{self.index['split_name']} ({self.index['split_sha256'][:12]})"
        return stamps

    def _wanted(self) -> list[str]:
        known = list(self.making.registry.metrics)
        return [name for name in (self.measure.metrics or known) if self.making.registry.metric(name)]

    def _options(self) -> dict[str, Any]:
        return {
            "preset": self.measure.preset,
            "networks": self.networks,
            "seed": self.measure.seed,
            "feature_cache": self.making.store.scratch("features"),
        }

    def _stimuli(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.data.array("images.npy")[rows])

    def _guide(self) -> str:
        """The guide that retrieval is scored in: the first of images, else the first."""
        images = [name for name, space in self.spaces.items() if space.modality == "image"]
        return (images or list(self.spaces))[0]

    def _embeddings(self) -> tuple[np.ndarray, np.ndarray, str]:
        guide = self._guide()
        role = self.making.options["guides"][guide]
        source = self.measure.retrieval_from
        if source == "auto":
            source = "refined" if role.startswith("refine.") else "estimate"
        if source == "refined" and role.startswith("refine."):
            brain = self._mean(self.making.inputs[role].array("test_refined.npy"))
        elif source == "contrast":
            brain = np.asarray(self.making.inputs[f"estimate.{guide}"].array("test_contrast.npy"))
        else:
            brain, source = self._mean(self.making.inputs[f"estimate.{guide}"].array("test_samples.npy")), "estimate"
        truth = self.making.inputs[f"targets.{guide}"].array("tokens.npy")[self.test_rows]
        return _flat(brain), _flat(truth), f"{guide} guide, {source}"

    @staticmethod
    def _mean(samples: np.ndarray) -> np.ndarray:
        return np.asarray(samples, dtype=np.float32).mean(axis=1)

    def _nearest_training(self) -> np.ndarray:
        """For each test stimulus the training stimulus whose tokens are nearest to the stage-I estimate."""
        guide = self._guide()
        estimate = _unit(_flat(self._mean(self.making.inputs[f"estimate.{guide}"].array("test_samples.npy"))))
        targets = self.making.inputs[f"targets.{guide}"].array("tokens.npy")[self.train_rows]
        return (estimate @ _unit(_flat(targets)).T).argmax(axis=1)


def _noted(score: Score, about: str) -> Score:
    return replace(score, network=about)


def _flat(tokens: np.ndarray) -> np.ndarray:
    return np.asarray(tokens, dtype=np.float32).reshape(len(tokens), -1)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
