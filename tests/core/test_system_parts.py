"""What the published systems needed beyond BrainRAM: losses without negatives, fewer stimuli, other conditions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from bdk import registry as registries
from bdk.contexts import DecoderContext
from bdk.data.brain_data import BrainData
from bdk.data.images import ArrayImages
from bdk.interfaces import Encoded
from bdk.making import Making
from bdk.objectives import Stage1Objective, stage1_loss
from bdk.retrieve import search_again
from bdk.runs import execute, silent
from bdk.spaces import Space
from bdk.targets import backbone

from tests.tiny import spec


class Linear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.map = torch.nn.Linear(4, 6).double()

    def forward(self, betas):
        tokens = self.map(betas).unflatten(1, (2, 3))
        return Encoded(tokens, tokens)


def loss_of(**options):
    encoder, generator = Linear(), torch.Generator().manual_seed(0)
    betas, targets = torch.randn(5, 4).double(), torch.randn(5, 2, 3).double()
    config = Stage1Objective(loss="regression", **options)
    return stage1_loss(config, encoder, None, betas, targets, 0.5, generator), encoder(betas).tokens, targets


def plain_cosine(estimate, target):
    total = 0.0
    for one, other in zip(estimate.flatten(1).tolist(), target.flatten(1).tolist(), strict=True):
        dot = sum(a * b for a, b in zip(one, other, strict=True))
        total += dot / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other))
    return total / len(estimate)


def test_mind_readers_loss_is_two_fifths_error_and_three_fifths_cosine():
    found, estimate, target = loss_of(cosine_weight=0.6, mse_scale=1.0)
    gaps = [(a - b) ** 2 for a, b in zip(estimate.flatten().tolist(), target.flatten().tolist(), strict=True)]
    wanted = 0.4 * sum(gaps) / len(gaps) + 0.6 * (1 - plain_cosine(estimate, target))
    assert found["loss"].item() == pytest.approx(wanted, rel=1e-12)


def test_the_absolute_distance_is_the_mean_of_the_gaps():
    found, estimate, target = loss_of(distance="absolute")
    gaps = [abs(a - b) for a, b in zip(estimate.flatten().tolist(), target.flatten().tolist(), strict=True)]
    assert found["loss"].item() == pytest.approx(sum(gaps) / len(gaps), rel=1e-12)


def test_a_regression_has_no_negatives():
    """The loss of a batch is the mean of the losses of its stimuli."""
    encoder, generator = Linear(), torch.Generator()
    betas, targets = torch.randn(4, 4).double(), torch.randn(4, 2, 3).double()
    config = Stage1Objective(loss="regression", cosine_weight=0.5)
    pairs = [(betas, targets), *((betas[row : row + 1], targets[row : row + 1]) for row in range(4))]
    whole, *alone = [stage1_loss(config, encoder, None, x, y, 0.5, generator)["loss"].item() for x, y in pairs]
    assert whole == pytest.approx(sum(alone) / 4, rel=1e-12)


def trials():
    order = np.repeat(np.arange(10), 2)
    return BrainData(
        "toy", "s", np.arange(40, dtype=np.float32).reshape(20, 2), order, np.zeros(20, dtype=np.int64),
        tuple(f"i{n}" for n in range(10)), np.array(["train", "test"] * 5), "half",
        ArrayImages(np.arange(10 * 12, dtype=np.uint8).reshape(10, 2, 2, 3)), tuple((f"c{n}",) for n in range(10)), {},
        "print", {"data": "toy"},
    )  # fmt: skip


def test_thinned_data_keeps_evenly_spread_stimuli_with_all_of_their_trials():
    whole, thin = trials(), trials().thinned(train=2, test=3)
    assert thin.stimulus_ids == ("i0", "i1", "i3", "i4", "i7")
    for row, name in enumerate(thin.stimulus_ids):
        number = int(name[1:])
        assert (thin.split[row], thin.captions[row]) == (whole.split[number], (f"c{number}",))
        assert np.array_equal(thin.images[row], whole.images[number])
        assert np.array_equal(thin.averaged(np.array([row])), whole.averaged(np.array([number])))
    assert np.array_equal(thin.images.batch([4, 0]), whole.images.batch([7, 0]))
    assert thin.stamps == {"data": "toy", "subset": "2 of 5 training and 3 of 5 test stimuli"}
    assert len({thin.fingerprint, whole.fingerprint, whole.thinned(train=3, test=3).fingerprint}) == 3


def test_more_than_there_are_or_none_named_keeps_all():
    assert trials().thinned(train=99).stimulus_ids == trials().stimulus_ids


@pytest.fixture(scope="module")
def swav_file(tmp_path_factory):
    from torchvision.models import resnet50

    torch.manual_seed(0)
    state = {f"module.{key}": value for key, value in resnet50(weights=None).state_dict().items() if "fc." not in key}
    state["module.prototypes.weight"] = torch.zeros(3, 2)
    path = tmp_path_factory.mktemp("swav") / "swav.pth.tar"
    torch.save(state, path)
    return path


def test_instance_features_are_one_unit_token_of_a_picture_alone(swav_file):
    options = {"weights": "swav-resnet50", "path": str(swav_file)}
    space = Space("mine/instance", 1, 2048, "image", "cls", "bdk.targets.swav:SwavBackbone", options)
    pictures = np.random.default_rng(0).integers(0, 255, (2, 40, 32, 3), dtype=np.uint8)
    tokens = backbone(space).embed(pictures)
    assert tokens.shape == (2, 1, 2048)
    torch.testing.assert_close(tokens.norm(dim=-1), torch.ones(2, 1))
    torch.testing.assert_close(backbone(space).embed(pictures[1:]), tokens[1:], atol=1e-5, rtol=0)


class Echo(torch.nn.Module):
    """A picture of the length of each condition."""

    def forward(self, vector):
        return vector.norm(dim=1)[:, None, None, None].expand(-1, 3, 2, 2)


@pytest.mark.parametrize(("unit", "length"), [(True, 1.0), (False, 5.0)])
def test_conditions_of_an_exported_generator_come_at_unit_length_if_wanted(tmp_path, unit, length):
    from bdk_decoders.configs import TorchscriptConfig
    from bdk_decoders.torchscript import Torchscript

    torch.jit.trace(Echo(), torch.ones(1, 2)).save(str(tmp_path / "echo.pt"))
    config = TorchscriptConfig(path=str(tmp_path / "echo.pt"), unit=unit, guides={"image": "x"}, output="-1..1")
    decoder = Torchscript(config, DecoderContext({}))
    picture = decoder({"image": torch.tensor([[[3.0, 4.0]]])}, 1, torch.Generator())
    torch.testing.assert_close(picture, torch.full((1, 1, 3, 2, 2), min(1.0, length / 2 + 0.5)))


def test_versatile_diffusion_takes_an_absent_guide_for_zeros_of_the_others_width():
    from bdk_decoders.versatile_diffusion import _sizes

    assert _sizes({"image": Space("t", 5, 8, "image")}) == {"image": (5, 8), "text": (77, 8)}
    assert _sizes({"low": Space("l", 64, 4, "latent")}) == {"image": (257, 768), "text": (77, 768)}


def test_searching_again_with_the_same_tokens_finds_the_same_and_with_others_others(tmp_path):
    overrides = [("guides", "image"), ("fusion", "none"), ("decoder", "nearest"), ("measure.metrics", '["pixcorr"]')]
    finished = execute([spec(tmp_path)], out=tmp_path / "run", overrides=overrides)
    (run,) = finished.plan.runs
    step = finished.plan.steps[run.keys["decode"]]
    inputs = {role: finished.store.need(key, role) for role, key in step.inputs.items()}
    making = Making(step, inputs, tmp_path, tmp_path, finished.store, registries.load(), silent)
    samples = np.array(inputs["estimate.image"].array("test_samples.npy"))
    again = search_again(making, "retrieve.image", samples)
    assert np.array_equal(again, inputs["retrieve.image"].array("test_ids.npy"))
    assert not np.array_equal(search_again(making, "retrieve.image", -samples), again)


def test_nearest_shows_what_the_refined_tokens_find(tmp_path):
    overrides = [
        ("guides", "image"),
        ("measure.metrics", '["pixcorr"]'),
        ("stage2.lr", "0.5"),
        ("select.rule", "first"),
    ]

    def shown(search):
        decoder = [("decoder", "nearest"), ("decoder.search", search)]
        finished = execute([spec(tmp_path)], out=tmp_path / search, overrides=[*overrides, *decoder])
        (run,) = finished.plan.runs
        return finished.store.need(run.keys["decode"], "decode").array("candidates.npy")

    assert not np.array_equal(shown("estimate"), shown("refined"))


def test_the_query_of_the_encoder_searches_for_test_stimuli_alone(tmp_path):
    overrides = [("guides", "image"), ("fusion", "none"), ("decoder", "none"), ("retriever.query", "encoder")]
    finished = execute([spec(tmp_path)], out=tmp_path / "run", overrides=overrides)
    found = finished.store.need(finished.plan.runs[0].keys["retrieve.image"], "retrieve")
    assert found.has("test_ids.npy") and not found.has("train_ids.npy")
    assert found.array("test_ids.npy").shape == (12, 1, 4)
    assert "metrics" in json.loads((tmp_path / "run/metrics.json").read_text())
