"""What a part is given wrongly in the middle of a run: told with what, where and how to mend; nothing is written."""

from __future__ import annotations

import json

import pytest
import torch
from bdk import estimate, refine
from bdk.artifacts import Store
from bdk.errors import ComponentError
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec

GUIDE = [("guides", "image"), ("retriever.k", "2")]


def with_nan(betas):
    betas[3, 1] = torch.nan
    return betas


def break_betas(monkeypatch):
    scale = estimate.Scale.__call__
    monkeypatch.setattr(estimate.Scale, "__call__", lambda self, betas: with_nan(scale(self, betas)))


def break_voxels(monkeypatch):
    fit = estimate._Work.fit

    def fit_then_lose_a_voxel(self, rows, name):
        found = fit(self, rows, name)
        self.train_betas, self.test_betas = self.train_betas[:, 1:], self.test_betas[:, 1:]
        return found

    monkeypatch.setattr(estimate._Work, "fit", fit_then_lose_a_voxel)


def break_space(monkeypatch):
    targets = estimate._Work._targets
    monkeypatch.setattr(estimate._Work, "_targets", lambda self, rows: targets(self, rows)[:, 1:])


def break_k(monkeypatch):
    look_up = refine.Neighbourhood.look_up

    def one_more(self, ids, rows):
        tokens, present = look_up(self, ids, rows)
        return torch.cat([tokens, tokens[:, :1]], 1), torch.cat([present, present[:, :1]], 1)

    monkeypatch.setattr(refine.Neighbourhood, "look_up", one_more)


@pytest.mark.parametrize("encoder", ["mamba", "ridge"])
@pytest.mark.parametrize(
    ("fault", "step", "says", "mend"),
    [
        (break_betas, "estimate", "betas hold numbers that are not finite, in 1 of", "bdk data check"),
        (break_voxels, "estimate", r"63\), but the encoder was built for \(stimuli, 64 voxels\)", "64 voxels of the ROI"),
        (break_space, "estimate", r"\(\d+, 64, 128\)(, but space 'demo-clip/image' has \(stimuli, 65, 128\)|: two spaces)", "bdk plan"),
        (break_k, "refine", "built for K = 2 neighbours and was given 3", "retriever.k = 2"),
    ],
    ids=["NaN betas", "another voxel count", "another space", "another K"],
)  # fmt: skip
def test_the_run_stops_with_what_where_and_how_to_mend_and_writes_nothing(
    tmp_path, monkeypatch, encoder, fault, step, says, mend
):
    fault(monkeypatch)
    overrides = [*UNPAINTED, *GUIDE, ("encoder", encoder)]
    with pytest.raises(ComponentError, match=says) as caught:
        execute([spec(tmp_path)], out=tmp_path / "run", overrides=overrides)
    assert ("fusion" if step == "refine" else "") in caught.value.where and caught.value.where
    assert mend in caught.value.mend
    kinds = {json.loads(path.read_text())["kind"] for path in Store().root.glob("*/recipe.json")}
    assert step not in kinds and {"data", "targets"} <= kinds
    assert not (tmp_path / "run" / "metrics.json").exists()
