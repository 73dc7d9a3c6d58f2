"""Every combination of the built-in parts runs, or is refused by the plan with a reason."""

from __future__ import annotations

import itertools

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


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_legal_combination_runs_to_its_scores(tmp_path, encoder):
    rows = "".join(
        f'[[variant]]\nname = "{"-".join(c)}"\n'
        + "".join(f'{key} = "{use}"\n' for key, use in keys(c))
        + '"decoder.steps" = 2\n'
        for c in LEGAL
        if c[0] == encoder
    )
    finished = execute([spec(tmp_path, rows)], out=tmp_path / "run", store=tmp_path / "store", quick=True)
    assert finished.failures == {}
    assert all((tmp_path / "run" / run.spec.name / "metrics.json").is_file() for run in finished.plan.runs)
