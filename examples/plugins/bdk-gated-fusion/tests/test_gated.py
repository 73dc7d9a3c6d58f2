"""The gated fusion, found through the entry point alone."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
import torch
from bdk import Space, registry
from bdk.contexts import FusionContext
from bdk.testing import conformance
from bdk_gated_fusion import GatedConfig
from bdk_gated_fusion.gated import Gated

SPACE = Space("test", 5, 8, "image")


def test_it_conforms():
    conformance.assert_conforms("fusion", "gated")


def test_the_package_conforms():
    assert conformance.check_package("bdk-gated-fusion").ok


def test_it_comes_in_by_its_entry_point_alone():
    (point,) = importlib.metadata.entry_points(group="bdk", name="gated-fusion")
    assert point.value == "bdk_gated_fusion"
    assert registry.load().component("fusion", "gated").distribution == "bdk-gated-fusion 0.1.0"


@pytest.mark.parametrize("per", ["number", "token"])
def test_open_gates_give_the_mean_of_the_present_neighbours(per):
    part = Gated(GatedConfig(start=10, per=per), FusionContext(SPACE, 2))
    torch.nn.init.zeros_(part.gate.weight)
    torch.nn.init.constant_(part.gate.bias, 100.0)
    neighbours = torch.randn(3, 2, 5, 8)
    present = torch.tensor([[True, True], [True, False], [True, True]])
    refined = part(torch.randn(3, 5, 8), neighbours, present)
    assert torch.allclose(refined[0], neighbours[0].mean(0), atol=1e-6)
    assert torch.allclose(refined[1], neighbours[1, 0], atol=1e-6)


def test_without_neighbours_the_estimate_stays():
    estimate = torch.randn(3, 5, 8)
    part = Gated(GatedConfig(), FusionContext(SPACE, 2))
    assert torch.equal(part(estimate, torch.randn(3, 2, 5, 8), torch.zeros(3, 2, dtype=torch.bool)), estimate)


def test_the_order_of_neighbours_does_not_matter():
    estimate, neighbours = torch.randn(3, 5, 8), torch.randn(3, 2, 5, 8)
    part = Gated(GatedConfig(), FusionContext(SPACE, 2))
    present = torch.ones(3, 2, dtype=torch.bool)
    assert torch.allclose(part(estimate, neighbours, present), part(estimate, neighbours.flip(1), present), atol=1e-6)


def test_one_name_in_the_grid_puts_it_into_table_4():
    from bdk.spec import load

    spec = Path(__file__).parents[1] / "table4.toml"
    published = load("table4", registry.load(), quick=True)
    sweep = load(str(spec), registry.load(), quick=True)
    assert [run.name for run in sweep.runs] == [*(run.name for run in published.runs), "gated"]
    assert {guide.fusion.use for guide in sweep.runs[-1].guides} == {"gated"}
