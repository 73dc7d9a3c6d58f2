"""What every encoder promises, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import EncoderContext
from bdk.errors import ComponentError
from bdk.spaces import Space
from bdk_encoders.configs import Conv1dResnetConfig, MambaConfig, MlpConfig, RidgeConfig
from bdk_encoders.conv1d_resnet import Conv1dResnet
from bdk_encoders.mamba import Mamba
from bdk_encoders.mlp import Mlp
from bdk_encoders.ridge import Ridge
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

SMALL = {"hidden": 16, "projector_width": 8}
KINDS = {
    "mlp": (Mlp, lambda **more: MlpConfig(**SMALL, **more)),
    "mamba": (Mamba, lambda **more: MambaConfig(**SMALL, kernel="torch", **more)),
    "conv1d-resnet": (Conv1dResnet, lambda **more: Conv1dResnetConfig(channels=4, squeeze=4, **more)),
    "ridge": (Ridge, lambda **more: RidgeConfig(alphas=(1.0,), **more)),
}


def make(name: str, voxels: int, tokens: int, dim: int, rois=None, **options):
    torch.manual_seed(0)
    kind, config = KINDS[name]
    encoder = kind(config(**options), EncoderContext(voxels, Space("tiny", tokens, dim, "image"), rois=rois or {}))
    if name == "ridge":
        encoder.solve(draw(12, voxels, seed=9), draw(12, tokens * dim, seed=8).view(12, tokens, dim))
    return encoder.eval()


def draw(rows: int, columns: int, seed: int = 0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", KINDS)
@given(rows=st.integers(1, 4), voxels=st.integers(1, 40), tokens=st.integers(1, 5), dim=st.integers(1, 7))
@settings(max_examples=10, deadline=None)
def test_tokens_have_the_spaces_size_and_rows_do_not_mix(name, rows, voxels, tokens, dim):
    encoder, betas = make(name, voxels, tokens, dim), draw(rows, voxels)
    kept = betas.clone()
    with torch.no_grad():
        whole = encoder(betas)
        alone = [encoder(betas[row : row + 1]) for row in range(rows)]
    assert whole.tokens.shape == whole.contrast.shape == (rows, tokens, dim)
    assert torch.equal(betas, kept)
    for part in ("tokens", "contrast"):
        single = torch.cat([getattr(encoded, part) for encoded in alone])
        torch.testing.assert_close(getattr(whole, part), single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "mamba"])
def test_the_scale_of_the_head_changes_the_length_of_first_tokens_alone(name):
    def first(**options):
        torch.manual_seed(0)
        with torch.no_grad():
            return make(name, 10, 2, 3, **options)(draw(4, 10)).tokens

    torch.testing.assert_close(first(head_scale=0.1), 0.1 * first())


@pytest.mark.parametrize("name", KINDS)
def test_an_encoder_sees_the_voxels_of_its_roi_only(name):
    rois = {"early": (0, 3, 5), "ventral": (5, 7)}
    encoder, betas = make(name, 10, 2, 3, rois, roi=("early", "ventral")), draw(4, 10)
    changed = betas.clone()
    changed[:, [1, 2, 4, 6, 8, 9]] += 1
    assert torch.equal(encoder(betas).tokens, encoder(changed).tokens)
    changed[:, 7] += 1
    assert not torch.equal(encoder(betas).tokens, encoder(changed).tokens)


@pytest.mark.parametrize("name", KINDS)
def test_wrong_betas_are_refused_with_what_where_and_how_to_mend(name):
    encoder, betas = make(name, 10, 2, 3), draw(3, 10)
    with pytest.raises(ComponentError, match=r"\(3, 9\).*10 voxels") as caught:
        encoder(betas[:, :9])
    assert name in caught.value.where and caught.value.mend
    betas[1, 4] = torch.nan
    with pytest.raises(ComponentError, match=r"1 of 3 rows \(first: row 1\)"):
        encoder(betas)


@pytest.mark.parametrize("name", KINDS)
def test_an_unknown_or_empty_roi_is_refused(name):
    with pytest.raises(ComponentError, match="no ROI 'late'") as caught:
        make(name, 10, 2, 3, {"early": (1,)}, roi=("late",))
    assert "early" in caught.value.mend
    with pytest.raises(ComponentError, match="holds no voxel"):
        make(name, 10, 2, 3, {"early": ()}, roi=("early",))


@pytest.mark.parametrize("name", KINDS)
def test_state_dicts_load_strictly(name):
    first = make(name, 10, 2, 3)
    other = KINDS[name][0](KINDS[name][1](), EncoderContext(10, Space("tiny", 2, 3, "image"))).eval()
    other.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first(draw(3, 10)).tokens, other(draw(3, 10)).tokens)


@pytest.mark.parametrize("name", ["mlp", "mamba"])
def test_the_residual_is_added_after_activation_and_dropout(name):
    encoder, betas = make(name, 10, 2, 3), draw(3, 10)
    hidden = encoder.stem(betas)
    for block in encoder.blocks:
        hidden = block(hidden) + hidden
    assert torch.equal(encoder(betas).tokens.flatten(1), encoder.head(hidden))
    assert torch.equal(encoder(betas).contrast, encoder.projector(encoder(betas).tokens))


def test_without_a_projector_the_contrast_is_the_tokens():
    encoded = make("mlp", 10, 2, 3, projector=False)(draw(3, 10))
    assert torch.equal(encoded.tokens, encoded.contrast)


def test_wider_sequence_elements_must_divide_the_hidden_units():
    assert make("mamba", 10, 2, 3, token_width=4)(draw(3, 10)).tokens.shape == (3, 2, 3)
    with pytest.raises(ValidationError, match="token_width 5 does not divide hidden 16"):
        MambaConfig(hidden=16, token_width=5)


@pytest.mark.parametrize("token_width", [1, 4])
def test_a_wider_mamba_block_lifts_each_element_and_brings_it_back(token_width):
    encoder, betas = make("mamba", 10, 2, 3, token_width=token_width, d_model=6), draw(3, 10)
    scan = encoder.blocks[0][0]
    assert scan.mixer.in_proj.in_features == 6 and scan.mixer.D.numel() == 12
    hidden = encoder.stem(betas)
    elements = [scan.lift(hidden[:, at : at + token_width]) for at in range(0, 16, token_width)]
    expected = scan.lower(scan.mixer(torch.stack(elements, 1))).flatten(1)
    torch.testing.assert_close(scan(hidden), expected)


def test_a_block_as_wide_as_its_elements_is_the_released_one():
    assert (
        make("mamba", 10, 2, 3, token_width=4, d_model=4).state_dict().keys()
        == make("mamba", 10, 2, 3).state_dict().keys()
    )


def test_mind_readers_clamp_limits_every_number():
    tokens = make("conv1d-resnet", 10, 2, 3, clamp=0.01)(draw(3, 10) * 100).tokens
    assert tokens.abs().max() <= 0.01


@pytest.mark.parametrize("name", ["mlp", "mamba"])
def test_published_names_are_those_of_the_released_networks(name):
    names = make(name, 10, 2, 3).published_names()
    assert len(set(names.values())) == len(names)
    assert names["stem.0.weight"] == "voxel2clip.lin0.0.weight"
    assert names["stem.1.bias"] == "voxel2clip.lin0.1.bias"
    assert names["head.weight"] == "voxel2clip.lin1.weight"
    assert names["projector.8.bias"] == "voxel2clip.projector.8.bias"
    if name == "mlp":
        assert names["blocks.2.0.weight"] == "voxel2clip.mlp.2.0.weight"
        assert names["blocks.2.1.weight"] == "voxel2clip.mlp.2.1.weight"
    else:
        assert names["blocks.2.0.mixer.A_log"] == "voxel2clip.mlp.2.1.A_log"
        assert names["blocks.2.0.mixer.dt_proj.bias"] == "voxel2clip.mlp.2.1.dt_proj.bias"
        assert names["blocks.2.1.weight"] == "voxel2clip.mlp.2.3.weight"
