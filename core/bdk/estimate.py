"""Stage I: an encoder and a prior, fitted for one guide, and what they read from every stimulus's betas.

Source: BrainRAM section 3.2; the released code's losses by default (`bdk.objectives`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bdk.arrays import new_array
from bdk.canonical import derive_seed
from bdk.checkpoints import find, load_into
from bdk.contexts import EncoderContext, PriorContext
from bdk.devices import device
from bdk.errors import ComponentError
from bdk.making import Making
from bdk.objectives import stage1_loss
from bdk.objectives.share import Share
from bdk.plan import space_from
from bdk.processes import crew
from bdk.training.configs import Stage1
from bdk.training.loop import Loss, Row, train

BATCH = 32
CLOSED_FORM_FOLDS = 5


@dataclass(frozen=True)
class Fitted:
    """An encoder and a prior (None: the encoder's tokens are the estimate)."""

    encoder: Any
    prior: Any
    rows: list[Row]

    @property
    def batch(self) -> int | None:
        """Stimuli at once: all, if the encoder's word on one depends on the others (`Ridge.is_transductive`)."""
        return None if getattr(self.encoder, "is_transductive", False) else BATCH

    def samples(self, betas: Tensor, n: int, seed: int) -> Iterator[Tensor]:
        """Estimates in batches: B S T D, S = 1 without a prior. Equal seeds give equal samples."""
        generator = torch.Generator().manual_seed(seed)
        for batch in _batches(betas, self.batch):
            with torch.no_grad():
                tokens = self.encoder(batch).tokens
                if self.prior is None:
                    yield tokens[:, None].float().cpu()
                    continue
                yield self.prior.sample(tokens, n, generator).float().cpu()

    def contrast(self, betas: Tensor) -> Iterator[Tensor]:
        """The encoder's contrast output in batches: B T D."""
        for batch in _batches(betas, self.batch):
            with torch.no_grad():
                yield self.encoder(batch).contrast.float().cpu()


def _batches(betas: Tensor, size: int | None) -> Iterator[Tensor]:
    """Batches on the device."""
    size = size or len(betas)
    for start in range(0, len(betas), size):
        yield betas[start : start + size].to(device())


def make(making: Making) -> None:
    """Fit stage I and write its estimates.

    Files: ``model.safetensors``, ``losses.json``, ``train_rows.npy`` (positions among the training stimuli that
    stage II may learn from), ``train_samples.npy`` (their S T D estimates; neither with ``estimates = "none"``),
    ``test_samples.npy``, ``test_contrast.npy``, and ``test_repeats.npy`` (contrast output for each showing, stimuli x R x T x D) where test
    stimuli were shown more than once.
    """
    stage = Stage1.model_validate(making.options["stage1"])
    if not _trains(making):
        crew().dismiss()
    work = _Work(making, stage)
    n = len(work.train_betas)
    seed = making.options["seed"]
    fit_rows = np.arange(n)
    if stage.estimates == "cross-fit":
        folds = np.array_split(_shuffled(n, seed), stage.folds)
        parts = [(work.fit(np.setdiff1d(fit_rows, fold), f"fold-{i}"), np.sort(fold)) for i, fold in enumerate(folds)]
        fusion_rows = fit_rows
        if crew().leads:
            _write_folds(making, work, parts)
    else:
        fusion_rows = fit_rows
        if stage.estimates == "holdout":
            fusion_rows = np.sort(_shuffled(n, seed)[: max(1, round(stage.holdout * n))])
            fit_rows = np.setdiff1d(fit_rows, fusion_rows)
    final = work.fit(fit_rows, "fit")
    crew().dismiss()
    if stage.estimates in ("in-sample", "holdout"):
        _write(making, "train_samples", work.samples(final, work.train_betas[fusion_rows], "train"), len(fusion_rows))
    if stage.estimates != "none":
        np.save(making.out / "train_rows.npy", fusion_rows)
    _write(making, "test_samples", work.samples(final, work.test_betas, "test"), len(work.test_betas))
    _write(making, "test_contrast", final.contrast(work.test_betas), len(work.test_betas))
    if work.repeats is not None:
        _write(making, "test_repeats", _by_showing(final, work.repeats), len(work.test_betas))
    modules = {"encoder": final.encoder, "prior": final.prior}
    save_file(_state(modules), making.out / "model.safetensors")
    (making.out / "losses.json").write_text(json.dumps(final.rows))


def _trains(making: Making) -> bool:
    """Whether anything is fitted by gradients, so that other processes can help."""
    return making.options["encoder"]["fit_mode"] == "gradient" or making.options["prior"] != "none"


class _Work:
    """The data of one guide's stage I, ready to fit on any of its rows."""

    def __init__(self, making: Making, stage: Stage1) -> None:
        self.making, self.stage = making, stage
        self.space = space_from(making.options["space"])
        self.guide = making.options["guide"]
        data = making.inputs["data"]
        self.index = data.json("index.json")
        scale = Scale.of(data.array("train_betas.npy"), stage.standardise)
        self.train_betas = scale(data.array("train_betas.npy"))
        self.test_betas = scale(data.array("test_betas.npy"))
        self.repeats = scale(data.array("test_repeats.npy")) if data.has("test_repeats.npy") else None
        self.targets = making.inputs[f"targets.{self.guide}"].array("tokens.npy")
        self.train_rows = np.asarray(self.index["train_rows"])

    def fit(self, rows: np.ndarray, name: str) -> Fitted:
        """Fit encoder and prior on some of the training stimuli."""
        encoder, prior = self._build()
        betas = self.train_betas[rows]
        losses: list[Row] = []
        if self.stage.weights:
            parts = {"encoder": encoder, "prior": prior}
            checkpoint = find(self.making.store, self.stage.weights)
            load_into(checkpoint, parts, voxels=betas.shape[1], space=self.space, where="stage1.weights")
        elif self.making.options["encoder"]["fit_mode"] == "closed_form":
            encoder.solve(betas, self._targets(rows))
            if prior is not None:
                losses = self._train_prior(prior, self._out_of_fold(betas, rows), rows, name)
        else:
            modules = {"encoder": encoder} | ({"prior": prior} if prior is not None else {})
            losses = self._train_both(modules, betas, rows, name)
        for module in (encoder, prior):
            if module is not None:
                module.to(device()).eval()
        return Fitted(encoder, prior, losses)

    def samples(self, fitted: Fitted, betas: Tensor, split: str) -> Iterator[Tensor]:
        """Estimates of some betas."""
        prior = self.making.options["prior"]
        n = 1 if prior == "none" else int(prior.get("samples", 1))
        seed = derive_seed(self.making.options["seed"], self.guide, "sample", split)
        done = 0
        for batch in fitted.samples(betas, n, seed):
            done += len(batch)
            self.making.progress(done, len(betas), f"{split} samples")
            yield batch

    def _build(self) -> tuple[Any, Any]:
        torch.manual_seed(derive_seed(self.making.options["seed"], self.guide, "init"))
        rois = {name: tuple(members) for name, members in self.index["rois"].items()}
        context = EncoderContext(self.train_betas.shape[1], self.space, self.guide, rois)
        encoder = self.making.component("encoder", self.making.options["encoder"], context)
        prior = None
        if self.making.options["prior"] != "none":
            prior = self.making.component("prior", self.making.options["prior"], PriorContext(self.space, self.guide))
        return encoder, prior

    def _targets(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(self.targets[self.train_rows[rows]], dtype=np.float32))

    def _out_of_fold(self, betas: Tensor, rows: np.ndarray) -> Tensor:
        """Predictions of a closed-form encoder for stimuli it did not see: what the prior will meet at test time."""
        conditions = torch.empty(len(rows), self.space.tokens, self.space.dim)
        for fold in np.array_split(_shuffled(len(rows), self.making.options["seed"]), CLOSED_FORM_FOLDS):
            rest = np.setdiff1d(np.arange(len(rows)), fold)
            encoder, _ = self._build()
            encoder.solve(betas[rest], self._targets(rows[rest]))
            with torch.no_grad():
                conditions[fold] = encoder(betas[fold]).tokens.float()
        return conditions

    def _train_both(self, modules: Mapping[str, nn.Module], betas: Tensor, rows: np.ndarray, name: str) -> list[Row]:
        def loss(batch: Tensor, progress: float, generator: torch.Generator) -> Mapping[str, Tensor]:
            x, y = betas[batch].to(device()), self._targets(rows[batch.numpy()]).to(device())
            encoder: Any = modules["encoder"]
            prior: Any = modules.get("prior")
            return stage1_loss(self.stage, encoder, prior, x, y, progress, generator, Share.of(len(batch)))

        return self._loop(modules, loss, len(rows), name)

    def _train_prior(self, prior: Any, conditions: Tensor, rows: np.ndarray, name: str) -> list[Row]:
        def loss(batch: Tensor, progress: float, generator: torch.Generator) -> Mapping[str, Tensor]:
            share = Share.of(len(batch))
            own = share.mine(batch)
            y = self._targets(rows[own.numpy()]).to(device())
            with share.drawing():
                return {"loss": share.mean(prior.loss(y, conditions[own].to(device()), generator).loss)}

        return self._loop({"prior": prior}, loss, len(rows), name)

    def _loop(self, modules: Mapping[str, nn.Module], loss: Loss, n: int, name: str) -> list[Row]:
        work = self.making.work / name
        work.mkdir(exist_ok=True)
        seed = derive_seed(self.making.options["seed"], self.guide, name)
        rates = {"prior": self.stage.prior_lr} if self.stage.prior_lr else {}
        return train(modules, loss, n, self.stage, seed=seed, work=work, on_row=self.making.row, rates=rates)


@dataclass(frozen=True)
class Scale:
    """Brings betas to one scale, learned from the training stimuli alone; see `Stage1.standardise`."""

    how: str
    mean: Any = 0.0
    sd: Any = 1.0

    @classmethod
    def of(cls, train: np.ndarray, how: str) -> Scale:
        """Learn it from training betas, stimuli x V."""
        if how != "voxel":
            return cls(how)
        train = np.asarray(train, dtype=np.float64)
        sd = train.std(axis=0, ddof=1)
        return cls(how, train.mean(axis=0), np.where(sd > 0, sd, 1.0))

    def __call__(self, betas: np.ndarray) -> Tensor:
        """Betas (... x V) on that scale, float32."""
        betas = np.asarray(betas, dtype=np.float64)
        if self.how == "sample":
            betas = (betas - betas.mean(-1, keepdims=True)) / betas.std(-1, keepdims=True)
        return torch.from_numpy(((betas - self.mean) / self.sd).astype(np.float32))


def _by_showing(fitted: Fitted, repeats: Tensor) -> Iterator[Tensor]:
    """Contrast output for every showing of some stimuli: B R T D."""
    size = fitted.batch or len(repeats)
    for start in range(0, len(repeats), size):
        part = repeats[start : start + size]
        yield torch.cat(list(fitted.contrast(part.flatten(0, 1)))).unflatten(0, part.shape[:2])


def _shuffled(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(derive_seed(seed, "holdout")).permutation(n)


def _state(modules: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, module in modules.items()
        if module is not None
        for key, value in module.state_dict().items()
    }


def _write(making: Making, name: str, batches: Iterator[Tensor], total: int) -> None:
    """Write batches into one ``.npy`` as they come.

    Raises:
        ComponentError: a batch holds a number that is not finite.
    """
    store, place = None, 0
    for batch in batches:
        if not torch.isfinite(batch).all():
            raise ComponentError(
                f"{name.replace('_', ' ')} hold NaN or infinity.",
                where=making.step.label,
                mend="The training diverged: lower stage1.lr, or train longer.",
            )
        if store is None:
            shape = (total, *batch.shape[1:])
            store = new_array(making.out / f"{name}.npy", np.float32, shape)
        store[place : place + len(batch)] = batch.numpy()
        place += len(batch)
    assert store is not None and place == total
    store.flush()


def _write_folds(making: Making, work: _Work, parts: list[tuple[Fitted, np.ndarray]]) -> None:
    """Write the out-of-fold estimates of all training stimuli, in their order."""
    estimates: dict[int, Tensor] = {}
    for number, (fitted, fold) in enumerate(parts):
        found = torch.cat(list(work.samples(fitted, work.train_betas[fold], f"train-{number}")))
        estimates.update(zip(fold.tolist(), found, strict=True))
    ordered = (estimates[row][None] for row in range(len(estimates)))
    _write(making, "train_samples", ordered, len(estimates))
