"""A built part that breaks its contract is stopped where it does, and named with its distribution and the shapes."""

import copy
from dataclasses import replace

import pytest
import torch
from bdk.components import offer
from bdk.contexts import EncoderContext, FusionContext, PriorContext, RetrieverContext
from bdk.contracts import watched
from bdk.errors import BdkError, ComponentError
from bdk.interfaces import Encoded, Neighbours, PriorLoss
from bdk.spaces import Space
from bdk.training.configs import TrainConfig
from bdk.training.loop import train
from torch import nn

SPACE = Space("test", 5, 8, "image")


def info(family):
    return replace(offer(family, "odd", config="a:B", target="a:C", summary="x"), distribution="stranger 1.2")


class Module(nn.Module):
    def __init__(self, result):
        super().__init__()
        self.result = result
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, *given):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def fusion(result):
    return watched(Module(result), info("fusion"), FusionContext(SPACE, 2))


GIVEN = (torch.zeros(3, 5, 8), torch.zeros(3, 2, 5, 8), torch.ones(3, 2, dtype=torch.bool))


def test_what_keeps_the_contract_passes_unchanged():
    result = torch.randn(3, 5, 8)
    assert fusion(result)(*GIVEN) is result


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (torch.zeros(3, 1, 8), "(3, 1, 8), wanted (3, 5, 8)"),
        (torch.full((3, 5, 8), torch.nan), "120 numbers that are NaN"),
        (None, "of type NoneType"),
        (RuntimeError("sizes do not match"), "RuntimeError: sizes do not match"),
    ],
)
def test_a_breach_names_part_distribution_version_and_shapes(result, says):
    with pytest.raises(ComponentError) as caught:
        fusion(result)(*GIVEN)
    text = str(caught.value)
    assert says in text
    assert "fusion 'odd' (stranger 1.2)" in text
    assert "(3, 5, 8), (3, 2, 5, 8), (3, 2)" in text


def test_errors_of_the_project_are_passed_on():
    fault = ComponentError("Too few.")
    with pytest.raises(ComponentError) as caught:
        fusion(fault)(*GIVEN)
    assert caught.value is fault


def test_state_class_and_copies_stay_as_they_were():
    part = fusion(torch.zeros(3, 5, 8))
    assert isinstance(part, Module) and type(part).__name__ == "Module"
    assert list(part.state_dict()) == ["weight"]
    twin = copy.deepcopy(part)
    twin.result = torch.zeros(1)
    with pytest.raises(ComponentError):
        twin(*GIVEN)
    assert part(*GIVEN).shape == (3, 5, 8)


def test_nan_from_weights_that_diverged_is_left_to_the_training_loop_to_tell():
    part = fusion(torch.full((3, 5, 8), torch.nan))
    with torch.no_grad():
        part.weight[0] = torch.nan
    assert part(*GIVEN).isnan().all()


def test_an_encoder_must_return_tokens_and_contrast():
    context = EncoderContext(7, SPACE)
    good = torch.zeros(3, 5, 8)
    assert watched(Module(Encoded(good, good)), info("encoder"), context)(torch.zeros(3, 7))
    for wrong in (good, Encoded(good, good[:2])):
        with pytest.raises(ComponentError):
            watched(Module(wrong), info("encoder"), context)(torch.zeros(3, 7))


class Prior(nn.Module):
    def loss(self, target, condition, generator):
        return PriorLoss(torch.zeros(3), target)

    def sample(self, condition, n, generator):
        return condition[:, None].expand(-1, n + 1, -1, -1)


def test_a_prior_is_held_to_its_loss_and_its_samples():
    part = watched(Prior(), info("prior"), PriorContext(SPACE))
    given = torch.zeros(3, 5, 8)
    with pytest.raises(ComponentError, match="loss of shape"):
        part.loss(given, given, torch.Generator())
    with pytest.raises(ComponentError, match=r"samples of shape \(3, 3, 5, 8\), wanted \(3, 2, 5, 8\)"):
        part.sample(condition=given, generator=torch.Generator(), n=2)


class Retriever:
    def search(self, keys, k, exclude=None):
        return Neighbours(torch.zeros(len(keys), k + 1), torch.zeros(len(keys), k + 1))

    def fetch(self, ids, guide):
        return torch.zeros(1)


def test_a_retriever_is_held_to_k_and_to_the_space(tmp_path):
    part = watched(Retriever(), info("retriever"), RetrieverContext({"image": SPACE}, 4, "m", tmp_path))
    with pytest.raises(ComponentError, match=r"ids of shape \(2, 4\), wanted \(2, 3\)"):
        part.search(torch.zeros(2, 4), 3)
    with pytest.raises(ComponentError, match=r"wanted \(2, 3, 5, 8\)"):
        part.fetch(torch.zeros(2, 3), "image")


class Decoder:
    def __call__(self, guides, n, generator):
        return torch.zeros(len(guides["image"]), n, 8, 8, 3)


def test_a_decoder_is_held_to_channels_before_height():
    with pytest.raises(ComponentError, match=r"pictures of shape \(2, 1, 8, 8, 3\)"):
        watched(Decoder(), info("decoder"), None)({"image": torch.zeros(2, 5, 8)}, 1, torch.Generator())


@pytest.mark.parametrize(("weight", "blamed"), [(0.5, "fusion 'odd'"), (1e9, "the training diverged")])
def test_the_training_loop_blames_the_part_or_its_own_divergence(tmp_path, weight, blamed):
    part = fusion(torch.zeros(3, 1, 8))
    with torch.no_grad():
        part.weight.fill_(weight)

    def loss(rows, progress, generator):
        return {"loss": part(*GIVEN).sum() + part.weight.sum()}

    with pytest.raises(BdkError, match=blamed):
        train({"part": part}, loss, 3, TrainConfig(steps=1), seed=0, work=tmp_path)
