"""Guides become pictures: several candidates a stimulus, one of them selected by a declared rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bdk import selection
from bdk.canonical import derive_seed
from bdk.contexts import DecoderContext
from bdk.devices import device
from bdk.errors import ComponentError
from bdk.galleries.keys import pooled_key
from bdk.making import Making
from bdk.plan import space_from
from bdk.retrieve import retriever_of, search_again
from bdk.spaces import Space
from bdk.spec import Select
from bdk.targets import backbone

BATCH = 32


def make(making: Making) -> None:
    """Paint candidates for every test stimulus and select one.

    Files: ``candidates.npy`` (uint8 stimuli x C x H x W x 3), ``chosen.npy`` (int64), ``about.json`` (stamps).
    """
    select = Select.model_validate(making.options["select"])
    guides = {name: _final(making, role) for name, role in making.options["guides"].items()}
    candidates = _paint(making, guides, select)
    np.save(making.out / "candidates.npy", candidates)
    np.save(making.out / "chosen.npy", _select(making, candidates, select).numpy())
    stamps = {"selection": selection.ORACLE_STAMP} if select.rule == "oracle" else {}
    (making.out / "about.json").write_text(json.dumps({"stamps": stamps, "rule": select.rule}))


def _final(making: Making, role: str) -> np.ndarray:
    name = "test_refined.npy" if role.startswith("refine.") else "test_samples.npy"
    return making.inputs[role].array(name)


def _paint(making: Making, guides: Mapping[str, np.ndarray], select: Select) -> np.ndarray:
    spaces = {name: space_from(plain) for name, plain in making.options["spaces"].items()}
    ids, picture = _neighbours(making, guides)
    decoder = making.component("decoder", making.options["decoder"], DecoderContext(spaces, picture))
    if hasattr(decoder, "to"):
        decoder.to(device())
    n = len(next(iter(guides.values())))
    luck = _generators(making.options["seed"], select)
    canvas: np.ndarray | None = None
    for start in range(0, n, BATCH):
        rows = slice(start, min(start + BATCH, n))
        painted = _candidates(decoder, guides, ids, rows, select, luck)
        _check(painted, making.options["decoder"]["use"])
        pixels = (painted.float().clamp(0, 1) * 255).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy()
        if canvas is None:
            canvas = np.empty((n, *pixels.shape[1:]), dtype=np.uint8)
        canvas[rows] = pixels
        making.progress(rows.stop, n, "paint")
    assert canvas is not None
    return canvas


def _generators(seed: int, select: Select) -> list[torch.Generator]:
    """One generator for each call of the decoder on a batch; each goes on from batch to batch."""
    calls = 1 if select.guides_from == "mean" else select.candidates
    return [torch.Generator().manual_seed(derive_seed(seed, "decode", call)) for call in range(calls)]


def _candidates(
    decoder: Any,
    guides: Mapping[str, np.ndarray],
    ids: np.ndarray | None,
    rows: slice,
    select: Select,
    luck: list[torch.Generator],
) -> Tensor:
    """Candidates of some stimuli, B C 3 H W."""

    def given(candidate: int | None) -> dict[str, Tensor]:
        found = {name: _tokens(array[rows], candidate) for name, array in guides.items()}
        if ids is not None:
            found["neighbour_ids"] = torch.from_numpy(np.array(_neighbour(ids[rows], candidate)))
        return found

    with torch.no_grad():
        if select.guides_from == "mean":
            return decoder(given(None), select.candidates, luck[0])
        return torch.cat([decoder(given(c), 1, generator) for c, generator in enumerate(luck)], dim=1)


def _tokens(samples: np.ndarray, candidate: int | None) -> Tensor:
    """One sample of each stimulus, or the mean of all."""
    part = samples.mean(axis=1) if candidate is None else samples[:, candidate % samples.shape[1]]
    return torch.from_numpy(np.array(part, dtype=np.float32)).to(device())


def _neighbour(ids: np.ndarray, candidate: int | None) -> np.ndarray:
    """Candidate c is sample c's best neighbour; once every sample has had its turn, its second best, and so on."""
    if candidate is None:
        return ids[:, :, 0]
    rank, sample = divmod(candidate, ids.shape[1])
    return ids[:, [sample], min(rank, ids.shape[2] - 1)]


def _neighbours(making: Making, guides: Mapping[str, np.ndarray]) -> tuple[np.ndarray | None, Any]:
    """Ids of the retrieved items and a look-up of their pictures, for decoders that show them."""
    role = next((role for role in making.inputs if role.startswith("retrieve.")), None)
    if role is None:
        return None, None
    found = making.inputs[role].array("test_ids.npy")
    again = getattr(making.config("decoder", making.options["decoder"]), "searches_refined", None)
    guide = making.inputs[role].recipe["options"]["query_guide"]
    if again and again() and making.options["guides"][guide].startswith("refine."):
        found = search_again(making, role, guides[guide])
    return found, retriever_of(making, role).picture


def _check(painted: Tensor, name: str) -> None:
    if painted.ndim != 5 or painted.shape[2] != 3:
        raise ComponentError(f"decoder {name!r} returned shape {tuple(painted.shape)}, expected B S 3 H W.")
    if not torch.isfinite(painted).all():
        raise ComponentError(f"decoder {name!r} painted NaN or infinity.", mend="Look at its guides and its weights.")


def _select(making: Making, candidates: np.ndarray, select: Select) -> Tensor:
    n, c = candidates.shape[:2]
    if select.rule == "first" or c == 1:
        return selection.select_first(torch.empty(n, c, 0))
    if select.rule == "random":
        generator = torch.Generator().manual_seed(derive_seed(making.options["seed"], "select"))
        return selection.select_random(torch.empty(n, c, 0), generator)
    guide, space = _compared(making)
    painted = _embedded(making, candidates, space)
    if select.rule == "oracle":
        data = making.inputs["data"]
        rows = np.asarray(data.json("index.json")["test_rows"])
        return selection.select_oracle(painted, _embedded(making, data.array("images.npy")[rows][:, None], space)[:, 0])
    return selection.select_brain(painted, _brain(making, guide, space))


def _compared(making: Making) -> tuple[str, Space]:
    """The guide in whose space candidates are compared: pictures' tokens first, then latents, then text by its key."""
    spaces = {name: space_from(plain) for name, plain in making.options["spaces"].items()}
    for modality in ("image", "latent", "text"):
        for name, space in spaces.items():
            if space.modality == modality:
                return name, space
    raise ComponentError("No guide can be compared with a picture.", mend="Use --select.rule first.")


def _brain(making: Making, guide: str, space: Space) -> Tensor:
    contrast = torch.from_numpy(np.array(making.inputs[f"estimate.{guide}"].array("test_contrast.npy")))
    return pooled_key(contrast, "encoder", space) if space.modality == "text" else contrast.flatten(1)


def _embedded(making: Making, pictures: np.ndarray, space: Space) -> Tensor:
    """Embeddings of pictures (B C H W 3): flattened tokens, or pooled keys where the guide is a text. B C P."""
    b, c = pictures.shape[:2]
    shared = making.registry.space(space.pooled) if space.modality == "text" else space
    embedder = backbone(shared)
    flat = pictures.reshape(b * c, *pictures.shape[2:])
    parts = []
    for start in range(0, b * c, BATCH):
        parts.append(embedder.embed(np.array(flat[start : start + BATCH])).cpu())
        making.progress(min(start + BATCH, b * c), b * c, "compare")
    return torch.cat(parts).flatten(1).reshape(b, c, -1)
