"""The encoder, found through the entry point alone."""

from __future__ import annotations

import importlib.metadata

import pytest
import torch
from bdk import Space, registry
from bdk.contexts import EncoderContext
from bdk.errors import ComponentError
from bdk.testing import conformance
from bdk_roi_transformer.configs import RoiTransformerConfig
from bdk_roi_transformer.regions import regions
from bdk_roi_transformer.transformer import RoiTransformer

SPACE = Space("test", 5, 8, "image")
SMALL = RoiTransformerConfig(**RoiTransformerConfig.small)


def context(**rois):
    return EncoderContext(40, SPACE, "image", {name: tuple(members) for name, members in rois.items()})


def test_it_conforms():
    conformance.assert_conforms("encoder", "roi-transformer")


def test_the_package_conforms():
    assert conformance.check_package("bdk-roi-transformer").ok


def test_it_comes_in_by_its_entry_point_alone():
    (point,) = importlib.metadata.entry_points(group="bdk", name="roi-transformer")
    assert point.value == "bdk_roi_transformer"
    assert registry.load().component("encoder", "roi-transformer").distribution == "bdk-roi-transformer 0.1.0"


def test_every_region_is_a_token_and_the_voxels_outside_are_one_more():
    found = regions(SMALL, context(early=range(10), late=range(20, 25)))
    assert [len(members) for members in found] == [10, 5, 25]


def test_without_regions_voxels_are_cut_into_equal_parts():
    found = regions(SMALL, context())
    assert [len(members) for members in found] == [10, 10, 10, 10]
    assert [voxel for members in found for voxel in members] == list(range(40))


def test_voxels_outside_the_chosen_regions_have_no_say():
    config = SMALL.model_copy(update={"rois": ("early",)})
    part = RoiTransformer(config, context(early=range(10), late=range(20, 25))).eval()
    betas = torch.randn(2, 40)
    other = betas.clone()
    other[:, 10:] += 1
    assert torch.equal(part(betas).tokens, part(other).tokens)


def test_an_unknown_region_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ComponentError, match="early"):
        regions(SMALL.model_copy(update={"rois": ("nowhere",)}), context(early=range(10)))
