"""A stage II that is killed and taken up again ends where an undisturbed one ends."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import FusionContext
from bdk.objectives import Stage2Objective, stage2_loss
from bdk.spaces import Space
from bdk.training.configs import TrainConfig
from bdk.training.loop import train
from bdk_fusion.configs import Conv1x1Config, CrossAttentionConfig, RamConfig, SelfAttentionConfig
from bdk_fusion.conv1x1 import Conv1x1
from bdk_fusion.cross_attention import CrossAttention
from bdk_fusion.ram import Ram
from bdk_fusion.self_attention import SelfAttention

SPACE, K = Space("tiny", 3, 8, "image", "cls"), 2
KINDS = {
    "ram": (Ram, RamConfig(heads=2)),
    "cross-attention": (CrossAttention, CrossAttentionConfig(heads=2)),
    "self-attention": (SelfAttention, SelfAttentionConfig(heads=2)),
    "conv1x1": (Conv1x1, Conv1x1Config()),
}


class _Killed(Exception):
    pass


def run(name, work, kill_at=-1):
    """Train as stage II does: one sample of two is drawn for each stimulus. Returns the module and its rows."""
    generator = torch.Generator().manual_seed(1)
    samples, targets = torch.randn(20, 2, 3, 8, generator=generator), torch.randn(20, 3, 8, generator=generator)
    neighbours = torch.randn(20, 2, K, 3, 8, generator=generator)
    present = torch.rand(20, 2, K, generator=generator) < 0.8
    torch.manual_seed(0)
    kind, config = KINDS[name]
    fusion = kind(config, FusionContext(SPACE, K))

    def loss(rows, progress, seeded):
        drawn = torch.randint(2, (len(rows),), generator=seeded)
        inputs = (values[rows, drawn] for values in (samples, neighbours, present))
        return stage2_loss(Stage2Objective(), fusion, *inputs, targets[rows], seeded)

    def kill(row):
        if row["step"] == kill_at:
            raise _Killed

    work.mkdir(exist_ok=True)
    config = TrainConfig(steps=10, batch_size=5, checkpoint_every=3, lr=1e-2, schedule="constant")
    return fusion, train({"fusion": fusion}, loss, 20, config, seed=3, work=work, on_row=kill)


@pytest.mark.parametrize("name", KINDS)
def test_interrupted_and_resumed_stage_two_is_byte_identical_to_uninterrupted(tmp_path, name):
    whole, rows = run(name, tmp_path / "whole")
    with pytest.raises(_Killed):
        run(name, tmp_path / "killed", kill_at=7)
    assert list((tmp_path / "killed").glob("checkpoint.6"))
    torch.randn(100)  # what else the process draws in between does not matter
    resumed, again = run(name, tmp_path / "killed")
    assert again == rows
    for (key, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), key
