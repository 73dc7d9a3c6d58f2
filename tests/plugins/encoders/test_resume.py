"""A training of real parts that is killed and taken up again ends where an undisturbed one ends."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import EncoderContext, PriorContext
from bdk.objectives import Stage1Objective, stage1_loss
from bdk.spaces import Space
from bdk.training.configs import TrainConfig
from bdk.training.loop import train
from bdk_encoders.configs import MambaConfig
from bdk_encoders.mamba import Mamba
from bdk_priors.configs import DiffusionConfig
from bdk_priors.diffusion import Diffusion

SPACE = Space("tiny", 3, 8, "image", "cls")


class _Killed(Exception):
    pass


def modules() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    encoder = Mamba(MambaConfig(hidden=16, blocks=2, projector_width=8), EncoderContext(10, SPACE))
    return {"encoder": encoder, "prior": Diffusion(DiffusionConfig(depth=1, heads=2, dim_head=4), PriorContext(SPACE))}


def run(parts, work, kill_at=-1, loss="mindeye"):
    generator = torch.Generator().manual_seed(1)
    betas, targets = torch.randn(20, 10, generator=generator), torch.randn(20, 3, 8, generator=generator)

    def batch_loss(rows, progress, seeded):
        return stage1_loss(
            Stage1Objective(loss=loss), parts["encoder"], parts["prior"], betas[rows], targets[rows], progress, seeded
        )

    def kill(row):
        if row["step"] == kill_at:
            raise _Killed

    work.mkdir(exist_ok=True)
    config = TrainConfig(steps=12, batch_size=5, checkpoint_every=4)
    return train(parts, batch_loss, 20, config, seed=3, work=work, on_row=kill)


@pytest.mark.parametrize("loss", ["mindeye", "brainram-paper"])
def test_interrupted_and_resumed_training_is_byte_identical_to_uninterrupted(tmp_path, loss):
    whole = modules()
    rows = run(whole, tmp_path / "whole", loss=loss)
    with pytest.raises(_Killed):
        run(modules(), tmp_path / "killed", kill_at=9, loss=loss)
    resumed = modules()
    torch.randn(100)  # what else the process draws in between does not matter
    assert run(resumed, tmp_path / "killed", loss=loss) == rows
    for name in whole:
        for (key, a), b in zip(whole[name].state_dict().items(), resumed[name].state_dict().values(), strict=True):
            assert torch.equal(a, b), key


def test_a_step_depends_on_its_generator_alone_dropout_included():
    parts = modules()
    betas, targets = torch.randn(4, 10), torch.randn(4, 3, 8)

    def loss(seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        return stage1_loss(Stage1Objective(), parts["encoder"], parts["prior"], betas, targets, 0.0, generator)[
            "loss"
        ].item()

    state = torch.get_rng_state()
    first = loss(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(5)
    assert loss(0) == first != loss(1)


def test_a_module_with_a_learning_rate_of_its_own_moves_alone_when_the_others_stand_still(tmp_path):
    parts = modules()
    before = {name: {key: value.clone() for key, value in part.state_dict().items()} for name, part in parts.items()}
    config = TrainConfig(steps=2, batch_size=4, lr=1e-30, weight_decay=0, schedule="constant")

    def loss(rows, progress, generator):
        total = sum(p.square().sum() for part in parts.values() for p in part.parameters())
        return {"loss": total}

    train(parts, loss, 8, config, seed=0, work=tmp_path, rates={"prior": 1e-2})
    moved = {
        name: any(not torch.equal(before[name][key], value) for key, value in part.state_dict().items())
        for name, part in parts.items()
    }
    assert moved == {"encoder": False, "prior": True}
