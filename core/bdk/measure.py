"""Judges a run: image metrics, retrieval scores, baselines and noise ceiling, each with its interval and its chance."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file

from bdk.devices import device
from bdk.errors import DataError
from bdk.galleries.keys import pooled_key
from bdk.leakage import Audit, near_duplicates, perceptual_hashes
from bdk.making import Making
from bdk.metrics import NetworkSet, Score, baseline_scores, retrieval_scores, score_images
from bdk.metrics.baselines import CHANCE
from bdk.metrics.decoded_features import ALPHA, FROM, agreement, features_read
from bdk.metrics.retrieval import cosines, spread_of_samples
from bdk.noise_ceiling import SHOWN_ONCE, attainable_retrieval, noise_ceiling, normalised
from bdk.plan import space_from
from bdk.retrieve import as_thumb, retriever_of
from bdk.selection import ORACLE_STAMP
from bdk.spec import Measure

AUDITED = 4
"""Gallery items nearest to each test stimulus whose pictures are compared with it."""
DIRECTIONS: tuple[Literal["image", "brain"], ...] = ("image", "brain")
RETRIEVAL = tuple(f"{finds}_retrieval" for finds in DIRECTIONS)
NEAREST_BLOCK = 256
"""Training stimuli whose tokens are in memory at a time."""


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
        "features": judge.features(),
        "ceiling": judge.ceiling(),
        "audits": judge.audits(),
        "galleries": judge.galleries(),
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
        samples, truth, source = self._embeddings()
        brain, pool = samples.mean(axis=1), self.measure.pool
        found = retrieval_scores(brain, truth, pool=pool, draws=self.measure.draws, seed=self.measure.seed)
        if samples.shape[1] > 1:
            for name, finds in zip(RETRIEVAL, DIRECTIONS, strict=True):
                spread = spread_of_samples(samples, truth, finds, pool=pool)
                found[name] = replace(found[name], details={**found[name].details, **spread})
        weights = self._weights(self._guide())
        return {name: self._normalised(replace(found[name], network=source, weights_sha256=weights)) for name in names}

    def features(self) -> dict[str, dict[str, Any]]:
        """For every guide, how well its features are read by the encoder, and the share of the attainable."""
        return {guide: self._features_of(guide).to_json() for guide in self.spaces}

    def _features_of(self, guide: str) -> Score:
        estimate = self.making.inputs[f"estimate.{guide}"]
        truth = _flat(self.making.inputs[f"targets.{guide}"].array("tokens.npy")[self.test_rows])
        shown = estimate.array("test_repeats.npy") if estimate.has("test_repeats.npy") else None
        shown = shown if shown is None else shown.reshape(*shown.shape[:2], -1)
        score = features_read(_flat(estimate.array("test_contrast.npy")), truth, shown, seed=self.measure.seed)
        return replace(score, network=f"{guide} guide, contrast", weights_sha256=self._weights(guide))

    def _weights(self, guide: str) -> str:
        """Checksum of what embeds the stimuli of a guide."""
        return str(self.making.inputs[f"targets.{guide}"].recipe["options"].get("weights", ""))

    def ceiling(self) -> dict[str, Any]:
        """Noise ceiling of the voxels and of retrieval, or why there is none."""
        if not self.data.has("ncsnr.npy"):
            return {"missing": SHOWN_ONCE}
        showings = float(np.mean([self.index["repeats"][row] for row in self.test_rows]))
        share = noise_ceiling(self.data.array("ncsnr.npy"), showings)
        low, median, high = np.quantile(share, [0.1, 0.5, 0.9])
        facts = {"voxels_p10": low, "voxels_median": median, "voxels_p90": high, "n_repeats": showings}
        return {**{key: float(value) for key, value in facts.items()}, "retrieval": self._attainable}

    @cached_property
    def _attainable(self) -> float | None:
        """Highest retrieval that the reliability of the encoder's outputs allows."""
        estimate = self.making.inputs[f"estimate.{self._guide()}"]
        if not estimate.has("test_repeats.npy") or len(self.test_rows) < 8:
            return None
        shown = np.asarray(estimate.array("test_repeats.npy"), dtype=np.float32)
        shown = shown.reshape(*shown.shape[:2], -1)
        try:
            if agreement(shown, seed=self.measure.seed) > ALPHA:
                return None
            return attainable_retrieval(shown, pool=self.measure.pool, seed=self.measure.seed)
        except (DataError, ValueError):
            return None  # repeats without any signal have no ceiling; the score then stands unnormalised

    def _normalised(self, score: Score) -> Score:
        ceiling = self._attainable
        if ceiling is None or ceiling <= (score.chance or 0.0):
            return score
        return normalised(score, ceiling, reason=FROM)

    def audits(self) -> list[dict[str, Any]]:
        """Near-duplicates of test stimuli among the training stimuli and in every gallery that was searched."""
        return [audit.to_json() for audit in self._audits]

    @cached_property
    def _audits(self) -> list[Audit]:
        if not self.data.has("images.npy"):
            return []
        test = perceptual_hashes(self._stimuli(self.test_rows))
        train = perceptual_hashes(self._stimuli(self.train_rows))
        found = [near_duplicates(where="training stimuli", test_hashes=test, other_hashes=train)]
        return found + [audit for role in self._galleries() if (audit := self._audit_gallery(role, test)) is not None]

    def _galleries(self) -> list[str]:
        """One retrieve step for each gallery, of an image guide's query."""
        found: dict[str, str] = {}
        for role, artifact in self.making.inputs.items():
            if role.startswith("retrieve.") and artifact.recipe["options"]["query_guide"] == "image":
                found.setdefault(artifact.recipe["options"]["retriever"]["use"], role)
        return list(found.values())

    def _audit_gallery(self, role: str, test_hashes: np.ndarray) -> Audit | None:
        """Look the stimuli themselves up in a gallery, and compare the pictures found with them."""
        retriever = retriever_of(self.making, role)
        if not hasattr(retriever, "picture"):
            return None
        truth = self.making.inputs["targets.image"].array("tokens.npy")[self.test_rows]
        keys = pooled_key(torch.from_numpy(np.array(truth, dtype=np.float32)), "image-cls", self.spaces["image"])
        ids = np.unique(retriever.search(keys, AUDITED).ids.numpy())
        pictures = {int(item): retriever.picture(int(item)) for item in ids if item >= 0}
        had = {item: as_thumb(picture) for item, picture in pictures.items() if picture is not None}
        name = self.making.inputs[role].recipe["options"]["retriever"]["use"]
        hashes = perceptual_hashes(had.values())
        return near_duplicates(
            where=f"gallery {name} (the {AUDITED} nearest items of each stimulus)",
            test_hashes=test_hashes,
            other_hashes=hashes,
            other_ids=list(had),
        )

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
        """What must stand beside every number: synthetic data, stand-ins, leaks, oracle selection, split."""
        stamps = dict(self.index["stamps"])
        for name, space in self.spaces.items():
            if space.stamp:
                stamps[f"space {name}"] = space.stamp
        for name, facts in self.galleries().items():
            if facts.get("stand_in"):
                stamps[f"gallery {name}"] = facts["stand_in"]
            if facts.get("missing_items"):
                stamps[f"gallery {name}, items that could not be had"] = facts["missing_items"]
        for audit in self._audits:
            if audit.matches:
                stamps[f"audit of {audit.where}"] = audit.summary().removeprefix(f"{audit.where}: ")
        if "decode" in self.making.inputs:
            stamps |= self.making.inputs["decode"].json("about.json")["stamps"]
        stamps["split"] = f"{self.index['split_name']} ({self.index['split_sha256'][:12]})"
        return stamps

    def galleries(self) -> dict[str, Any]:
        """What each retriever says of its gallery, by the gallery's name."""
        found = {}
        for role, artifact in self.making.inputs.items():
            if role.startswith("retrieve."):
                found[artifact.recipe["options"]["retriever"]["use"]] = artifact.json("about.json")["stamps"]
        return found

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
        """Estimates N x S x P and truth N x P that retrieval compares, and what they are."""
        guide = self._guide()
        role = self.making.options["guides"][guide]
        source = self.measure.retrieval_from
        if source == "auto":
            source = "refined" if role.startswith("refine.") else "estimate"
        if source == "refined" and role.startswith("refine."):
            brain = self.making.inputs[role].array("test_refined.npy")
        elif source == "contrast":
            brain = self.making.inputs[f"estimate.{guide}"].array("test_contrast.npy")[:, None]
        else:
            brain, source = self.making.inputs[f"estimate.{guide}"].array("test_samples.npy"), "estimate"
        truth = self.making.inputs[f"targets.{guide}"].array("tokens.npy")[self.test_rows]
        samples = np.asarray(brain, dtype=np.float32).reshape(*brain.shape[:2], -1)
        return samples, _flat(truth), f"{guide} guide, {source}"

    @staticmethod
    def _mean(samples: np.ndarray) -> np.ndarray:
        return np.asarray(samples, dtype=np.float32).mean(axis=1)

    def _nearest_training(self) -> np.ndarray:
        """For each test stimulus the training stimulus whose tokens are nearest to the stage-I estimate."""
        guide = self._guide()
        estimate = _flat(self._mean(self.making.inputs[f"estimate.{guide}"].array("test_samples.npy")))
        targets = self.making.inputs[f"targets.{guide}"].array("tokens.npy")
        parts = [self.train_rows[i : i + NEAREST_BLOCK] for i in range(0, len(self.train_rows), NEAREST_BLOCK)]
        return np.concatenate([cosines(estimate, _flat(targets[rows])) for rows in parts], axis=1).argmax(axis=1)


def _flat(tokens: np.ndarray) -> np.ndarray:
    return np.asarray(tokens, dtype=np.float32).reshape(len(tokens), -1)
