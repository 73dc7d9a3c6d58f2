"""Every combination of the built-in parts runs, or is refused by the plan with a reason."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from bdk.errors import SpecError
from bdk.runs import execute
from bdk.spec import load

from tests.tiny import spec

ENCODERS = ("mamba", "mlp", "ridge", "conv1d-resnet")
PRIORS = ("diffusion", "unet", "none")
FUSIONS = ("ram", "average", "conv1x1", "cross-attention", "self-attention", "none")
RETRIEVERS = ("laion2b", "laion400m", "none")
WITHOUT_NEIGHBOURS = ("self-attention", "none")

COMBINATIONS = list(itertools.product(ENCODERS, PRIORS, FUSIONS, RETRIEVERS))
LEGAL = [c for c in COMBINATIONS if c[3] != "none" or c[2] in WITHOUT_NEIGHBOURS]
REFUSED = [c for c in COMBINATIONS if c not in LEGAL]


def keys(combination):
    return list(zip(("encoder", "prior", "fusion", "retriever"), combination, strict=True))


@pytest.mark.parametrize("combination", REFUSED, ids="-".join)
def test_a_fusion_without_a_retriever_is_refused_with_a_reason(registry, tmp_path, combination):
    with pytest.raises(SpecError, match="no neighbours to fuse"):
        load(spec(tmp_path), registry, overrides=keys(combination))


CHEAP = [
    ("measure.metrics", '["pixcorr", "image_retrieval"]'),
    ("decoder.steps", "1"),
    ("select.candidates", "1"),
    ("stage1.steps", "2"),
    ("stage2.steps", "2"),
]
"""What is scored, and how long is trained and painted, is no matter here."""
PAINTED = "mamba"
"""Rows of this encoder have both guides and are painted; those of the others are judged by the image guide's retrieval
alone, as guides are made by the same code and no decoder knows an encoder."""
UNPAINTED = [("guides", "image"), ("decoder", "none")]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_legal_combination_runs_to_its_scores(tmp_path, encoder):
    rows = "".join(
        f'[[variant]]\nname = "{"-".join(c)}"\n' + "".join(f'{key} = "{use}"\n' for key, use in keys(c))
        for c in LEGAL
        if c[0] == encoder
    )
    overrides = CHEAP if encoder == PAINTED else [pair for pair in CHEAP if pair[0] != "decoder.steps"] + UNPAINTED
    judged = ("pixcorr", "image_retrieval") if encoder == PAINTED else ("image_retrieval",)
    path, out = spec(tmp_path, rows), tmp_path / "run"
    finished = execute([path], out=out, store=tmp_path / "store", overrides=overrides, quick=True)
    assert finished.failures == {}
    assert len(finished.plan.runs) == len([c for c in LEGAL if c[0] == encoder])
    for run in finished.plan.runs:
        metrics = json.loads((out / run.spec.name / "metrics.json").read_text())["metrics"]
        assert all(math.isfinite(metrics[name]["value"]) for name in judged), run.spec.name
