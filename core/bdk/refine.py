"""Stage II: a fusion module learns to refine estimates with their neighbours; encoder and prior stay as they are.

Source: BrainRAM section 3.3, eq. 7-12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from bdk.arrays import new_array
from bdk.artifacts import Artifact
from bdk.canonical import derive_seed
from bdk.contexts import FusionContext
from bdk.devices import device
from bdk.making import Making
from bdk.objectives import stage2_loss
from bdk.objectives.share import Share
from bdk.plan import space_from
from bdk.processes import crew
from bdk.training.configs import Stage2
from bdk.training.loop import train

BATCH = 32


class Neighbourhood:
    """The neighbours' tokens of a retrieve step, looked up by gallery id.

    Args:
        retrieved: the retrieve step; None without a retriever.
        tokens: T.
        dim: D.
        pooled: whether each estimate has the neighbours of all samples of its stimulus (`Stage2.neighbours`).
    """

    def __init__(self, retrieved: Artifact | None, tokens: int, dim: int, *, pooled: bool = False) -> None:
        self.shape = (tokens, dim)
        self.retrieved, self.pooled = retrieved, pooled
        if retrieved is not None:
            self.ids = retrieved.array("token_ids.npy")
            self.tokens = retrieved.array("tokens.npy")

    def k(self) -> int:
        """Neighbours of each estimate; 0 without a retriever."""
        if self.retrieved is None:
            return 0
        searched, k = self.retrieved.array("test_ids.npy").shape[1:]
        return int(searched * k if self.pooled else k)

    def of(self, split: str, samples: int) -> np.ndarray | None:
        """Ids of one split, (stimuli x S) x K.

        Args:
            split: ``train`` or ``test``.
            samples: S of the estimates that are refined. Another guide's estimate, or the encoder's word, may have
                been searched with more or fewer: estimates then take the found neighbours in turn.
        """
        if self.retrieved is None:
            return None
        ids = np.asarray(self.retrieved.array(f"{split}_ids.npy"))
        if self.pooled:
            ids = pool(ids, np.asarray(self.retrieved.array(f"{split}_scores.npy")))[:, None]
        return ids[:, np.arange(samples) % ids.shape[1]].reshape(-1, ids.shape[-1])

    def look_up(self, ids: np.ndarray | None, rows: int) -> tuple[Tensor, Tensor]:
        """Tokens (B K T D, zeros where there is none) and which are present (B K)."""
        if ids is None:
            return torch.zeros(rows, 0, *self.shape), torch.zeros(rows, 0, dtype=torch.bool)
        place = np.clip(np.searchsorted(self.ids, ids), 0, max(0, len(self.ids) - 1))
        tokens = torch.from_numpy(np.array(self.tokens[place], dtype=np.float32))
        present = torch.from_numpy(ids >= 0) & torch.isfinite(tokens).flatten(2).all(-1)
        return torch.where(present[..., None, None], tokens, 0.0), present


def pool(ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Neighbours of all samples of each stimulus, nearest first, each item once: stimuli x (S K), -1 in place of others.

    Args:
        ids: gallery ids, stimuli x S x K, -1 where there is none.
        scores: their similarities, of the same shape.
    """
    ids, scores = ids.reshape(len(ids), -1), scores.reshape(len(ids), -1)
    nearest = np.argsort(np.where(ids < 0, np.inf, -scores), axis=1, kind="stable")
    pooled = np.full_like(ids, -1)
    for row, ranked in enumerate(np.take_along_axis(ids, nearest, 1)):
        items = list(dict.fromkeys(ranked[ranked >= 0].tolist()))
        pooled[row, : len(items)] = items
    return pooled


def make(making: Making) -> None:
    """Fit the fusion module, if it has anything to fit, and refine the test estimates.

    Files: ``model.safetensors``, ``losses.json``, ``test_refined.npy`` (stimuli x S x T x D).
    """
    options, guide = making.options, making.options["guide"]
    space = space_from(options["space"])
    pooled = options["stage2"]["neighbours"] == "pooled"
    neighbourhood = Neighbourhood(making.inputs.get(f"retrieve.{guide}"), space.tokens, space.dim, pooled=pooled)
    torch.manual_seed(derive_seed(options["seed"], guide, options["fusion"]["use"], "init"))
    fusion = making.component("fusion", options["fusion"], FusionContext(space, neighbourhood.k(), guide))
    losses: list[dict[str, float]] = []
    if options["fusion"]["fit_mode"] == "gradient":
        losses = _fit(making, fusion, neighbourhood)
    crew().dismiss()
    fusion.to(device()).eval()
    _write_refined(making, fusion, neighbourhood)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in fusion.state_dict().items()}
    save_file(state, making.out / "model.safetensors")
    (making.out / "losses.json").write_text(json.dumps(losses))


def _fit(making: Making, fusion: Any, neighbourhood: Neighbourhood) -> list[dict[str, float]]:
    """Train on one randomly drawn sample of each stimulus of a batch.

    A batch never holds two samples of one stimulus: they share a target, and would be each other's negatives.
    """
    guide = making.options["guide"]
    stage = Stage2.model_validate(making.options["stage2"])
    estimate = making.inputs[f"estimate.{guide}"]
    samples = estimate.array("train_samples.npy")
    s = samples.shape[1]
    index = making.inputs["data"].json("index.json")
    stimulus = np.asarray(index["train_rows"])[estimate.array("train_rows.npy")]
    targets = making.inputs[f"targets.{guide}"].array("tokens.npy")
    ids = neighbourhood.of("train", s)

    def loss(batch: Tensor, progress: float, generator: torch.Generator) -> Mapping[str, Tensor]:
        share = Share.of(len(batch))
        drawn = torch.randint(s, (len(batch),), generator=generator)
        rows, sample = share.mine(batch).numpy(), share.mine(drawn).numpy()
        tokens, present = neighbourhood.look_up(None if ids is None else ids[rows * s + sample], len(rows))
        p = torch.from_numpy(np.array(samples[rows, sample], dtype=np.float32))
        c = torch.from_numpy(np.array(targets[stimulus[batch.numpy()]], dtype=np.float32))
        p, tokens, present, c = (tensor.to(device()) for tensor in (p, tokens, present, c))
        return stage2_loss(stage, fusion, p, tokens, present, c, generator, share)

    seed = derive_seed(making.options["seed"], guide, making.options["fusion"]["use"], "fit")
    return train({"fusion": fusion}, loss, len(stimulus), stage, seed=seed, work=making.work, on_row=making.row)


def _write_refined(making: Making, fusion: Any, neighbourhood: Neighbourhood) -> None:
    samples = making.inputs[f"estimate.{making.options['guide']}"].array("test_samples.npy")
    n, s = samples.shape[:2]
    flat = samples.reshape(n * s, *samples.shape[2:])
    ids = neighbourhood.of("test", s)
    store = new_array(making.out / "test_refined.npy", np.float32, samples.shape)
    refined = store.reshape(flat.shape)
    for start in range(0, n * s, BATCH):
        p = torch.from_numpy(np.array(flat[start : start + BATCH], dtype=np.float32))
        part = None if ids is None else ids[start : start + BATCH]
        tokens, present = neighbourhood.look_up(part, len(p))
        with torch.no_grad():
            refined[start : start + BATCH] = (
                fusion(p.to(device()), tokens.to(device()), present.to(device())).cpu().numpy()
            )
        making.progress(min(start + BATCH, n * s), n * s, "refine")
    store.flush()
