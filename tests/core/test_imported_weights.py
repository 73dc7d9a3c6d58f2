"""A published checkpoint, from its file to the scores of a run that was not trained."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bdk.artifacts import Store
from bdk.contexts import EncoderContext, PriorContext
from bdk.errors import ComponentError
from bdk.registry import build, config_class
from bdk.runs import execute
from bdk.spec import load
from bdk_cli.main import app
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.tiny import UNPAINTED, spec

VOXELS = 64
OPTIONS = {
    "encoder": {"hidden": 16, "blocks": 1, "projector_width": 8},
    "prior": {"depth": 1, "heads": 1, "dim_head": 8, "ff_mult": 2, "samples": 2, "sampler": "dpm-2"},
}
SPACE = "demo-clip/image"


@pytest.fixture
def imported(registry, tmp_path):
    """Parts with weights, and the key under which `bdk import` keeps them, read from a file as the release saves it."""
    torch.manual_seed(5)
    space = registry.space(SPACE)
    contexts = {"encoder": EncoderContext(VOXELS, space), "prior": PriorContext(space)}
    parts, state = {}, {}
    for family, use in (("encoder", "mamba"), ("prior", "diffusion")):
        info = registry.component(family, use)
        part = parts[family] = build(info, config_class(info).model_validate(OPTIONS[family]), contexts[family])
        state |= {theirs: part.state_dict()[ours] for ours, theirs in part.published_names().items()}
        state |= part.published_constants()
    path = tmp_path / "last.pth"
    torch.save({"epoch": 239, "model_state_dict": state, "lr": 1e-8}, path)
    flat = [f"--set={family}.{name}={value}" for family, some in OPTIONS.items() for name, value in some.items()]
    command = ["import", "brainram", str(path), "--space", SPACE, *flat]
    told, printed = (CliRunner().invoke(app, [*command, *more]) for more in (["--json"], []))
    assert told.exit_code == printed.exit_code == 0, told.output + printed.output
    return parts, json.loads(told.stdout)["key"], printed.stdout


def run(tmp_path, key, *overrides):
    alone = {"guides": "image", "retriever": "none", "fusion": "none", "stage1.weights": key[:12]}
    sizes = {f"{family}.{name}": str(value) for family, some in OPTIONS.items() for name, value in some.items()}
    chosen = dict(UNPAINTED) | alone | sizes | dict(overrides)
    if chosen.get("prior") == "none":
        chosen = {option: value for option, value in chosen.items() if not option.startswith("prior.")}
    return execute([spec(tmp_path)], out=tmp_path / "run", overrides=list(chosen.items()))


def kinds() -> set[str]:
    return {json.loads(path.read_text())["kind"] for path in Store().root.glob("*/recipe.json")}


def test_a_run_takes_the_weights_in_place_of_training(tmp_path, imported):
    parts, key, _ = imported
    finished = run(tmp_path, key)
    estimate = finished.store.need(finished.plan.runs[0].keys["estimate.image"], "estimate")
    assert estimate.json("losses.json") == []
    kept = load_file(estimate.path / "model.safetensors")
    for family, part in parts.items():
        for name, value in part.state_dict().items():
            assert torch.equal(kept[f"{family}.{name}"], value), name
    samples = estimate.array("test_samples.npy")
    assert samples.shape[:2] == (12, 2) and np.isfinite(samples).all()
    scores = json.loads((tmp_path / "run" / "metrics.json").read_text())["metrics"]
    assert scores["image_retrieval"]["value"] is not None


def test_the_lines_that_the_command_prints_make_a_spec_that_takes_the_weights(tmp_path, registry, imported):
    _, key, printed = imported
    lines = [line.strip() for line in printed.split("use it in a spec:")[1].splitlines()]
    sweep = load(spec(tmp_path, "\n".join(lines)), registry, overrides=[*UNPAINTED, ("guides", "image")])
    guide = sweep.runs[0].guide("image")
    assert key.startswith(guide.stage1.weights) and len(guide.stage1.weights) == 16
    for family, options in OPTIONS.items():
        part = getattr(guide, family)
        assert part.use == {"encoder": "mamba", "prior": "diffusion"}[family]
        assert {name: getattr(part.options, name) for name in options} == options


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([("data.voxels", "48")], "voxel count is 48, but the imported checkpoint has 64"),
        ([("guides", "text")], "space is ('demo-clip/text', "),
        ([("prior", "none")], "parts is ['encoder']"),
        ([("encoder.hidden", "32")], "is (32,), but the imported checkpoint has (16,)"),
    ],
    ids=["voxels", "space", "parts", "sizes"],
)
def test_a_run_that_the_weights_do_not_fit_fails_with_a_reason_and_writes_no_estimate(
    tmp_path, imported, overrides, says
):
    with pytest.raises(ComponentError) as caught:
        run(tmp_path, imported[1], *overrides)
    assert says in caught.value.what
    assert caught.value.where == "stage1.weights" and "train anew" in caught.value.mend
    assert kinds() == {"checkpoint", "data", "targets"}
    assert not (tmp_path / "run" / "metrics.json").exists()
