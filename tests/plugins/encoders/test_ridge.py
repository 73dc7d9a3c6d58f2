"""`ridge` against scikit-learn and himalaya, and its own promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bdk.contexts import EncoderContext
from bdk.errors import ComponentError, NotFittedError
from bdk.spaces import Space
from bdk_encoders.configs import RidgeConfig
from bdk_encoders.ridge import Ridge
from himalaya.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import KFold

SPACE = Space("tiny", 3, 4, "image")


def world(stimuli: int, voxels: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    betas = torch.randn(stimuli, voxels, generator=generator) * 3 + 1
    weights = torch.randn(voxels, 12, generator=generator) / voxels**0.5
    noise = torch.tensor([0.1, 1.0, 5.0]).repeat_interleave(4) * torch.randn(stimuli, 12, generator=generator)
    return betas, (betas @ weights + noise + 2).view(stimuli, 3, 4)


def fitted(config: RidgeConfig, betas, targets) -> Ridge:
    encoder = Ridge(config, EncoderContext(betas.shape[1], SPACE))
    encoder.solve(betas, targets)
    return encoder


@pytest.mark.parametrize(("stimuli", "voxels"), [(60, 20), (30, 80)])
def test_primal_and_dual_solutions_equal_scikit_learns(stimuli, voxels):
    betas, targets = world(stimuli, voxels)
    encoder = fitted(RidgeConfig(alphas=(7.0,)), betas, targets)
    fresh, _ = world(10, voxels, seed=1)
    standard = (betas - betas.mean(0)) / betas.std(0)
    for token in range(3):
        model = SklearnRidge(alpha=7.0).fit(standard.double().numpy(), targets[:, token].double().numpy())
        expected = model.predict(((fresh - betas.mean(0)) / betas.std(0)).double().numpy())
        np.testing.assert_allclose(encoder(fresh).tokens[:, token].numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stimuli", "voxels"), [(60, 20), (30, 80)])
def test_each_token_gets_the_penalty_that_leaving_folds_out_favours(stimuli, voxels):
    betas, targets = world(stimuli, voxels)
    alphas = (0.1, 1.0, 10.0, 100.0, 1000.0)
    encoder = fitted(RidgeConfig(alphas=alphas, folds=4), betas, targets)
    standard = ((betas - betas.mean(0)) / betas.std(0)).double().numpy()
    for token in range(3):
        y = targets[:, token].double().numpy()
        errors = []
        for alpha in alphas:
            left_out = [
                np.square(SklearnRidge(alpha=alpha).fit(standard[fit], y[fit]).predict(standard[rest]) - y[rest]).sum()
                for fit, rest in KFold(4).split(standard)
            ]
            errors.append(sum(left_out))
        assert encoder.alpha[token].item() == pytest.approx(alphas[int(np.argmin(errors))])
    assert len(set(encoder.alpha.tolist())) > 1


def test_himalayas_kernel_ridge_gives_the_same_predictions():
    betas, targets = world(30, 80)
    encoder = fitted(RidgeConfig(alphas=(50.0,), standardize=False), betas, targets)
    center, mean = betas.mean(0), targets.flatten(1).mean(0)
    model = KernelRidge(alpha=50.0).fit((betas - center).double().numpy(), (targets.flatten(1) - mean).double().numpy())
    expected = model.predict((betas[:5] - center).double().numpy()) + mean.double().numpy()
    np.testing.assert_allclose(encoder(betas[:5]).tokens.flatten(1).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_solution_is_saved_and_loaded_strictly():
    betas, targets = world(40, 15)
    encoder = fitted(RidgeConfig(), betas, targets)
    fresh = Ridge(RidgeConfig(), EncoderContext(15, SPACE))
    fresh.load_state_dict(encoder.state_dict(), strict=True)
    assert torch.equal(fresh(betas).tokens, encoder(betas).tokens)


def test_before_it_is_fitted_it_refuses_to_predict():
    with pytest.raises(NotFittedError, match="not fitted"):
        Ridge(RidgeConfig(), EncoderContext(15, SPACE))(torch.zeros(2, 15))


def test_a_voxel_that_never_varies_does_not_count():
    betas, targets = world(40, 15)
    betas[:, 3] = 5.0
    encoder = fitted(RidgeConfig(alphas=(1.0,)), betas, targets)
    other = betas.clone()
    other[:, 3] = -100.0
    assert encoder(betas).tokens.isfinite().all()
    assert torch.equal(encoder(betas).tokens, encoder(other).tokens)


def test_renorm_by_the_training_predictions_brings_back_the_spread_of_the_targets():
    betas, targets = world(40, 15)
    encoder = fitted(RidgeConfig(alphas=(1e4,), renorm="train_pred"), betas, targets)
    tokens = encoder(betas).tokens
    torch.testing.assert_close(tokens.std(0, correction=0), targets.std(0, correction=0), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(tokens.mean(0), targets.mean(0), rtol=1e-3, atol=1e-3)


def test_renorm_by_the_test_set_is_brain_diffusers_formula():
    betas, targets = world(40, 15)
    plain = fitted(RidgeConfig(alphas=(1e4,)), betas, targets)
    renormed = fitted(RidgeConfig(alphas=(1e4,), renorm="test_set"), betas, targets)
    fresh, _ = world(9, 15, seed=1)
    y, train = plain(fresh).tokens.double().numpy(), targets.double().numpy()
    expected = (y - y.mean(0)) / y.std(0) * train.std(0) + train.mean(0)
    np.testing.assert_allclose(renormed(fresh).tokens.numpy(), expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(ComponentError, match="One stimulus alone") as caught:
        renormed(fresh[:1])
    assert "train_pred" in caught.value.mend


def test_wrong_training_data_is_refused_and_nothing_is_written():
    betas, targets = world(40, 15)
    encoder = Ridge(RidgeConfig(), EncoderContext(15, SPACE))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    holed = betas.clone()
    holed[4, 2] = torch.nan
    for wrong in ((holed, targets), (betas, targets[:, :2]), (betas[:30], targets), (betas[:6], targets[:6])):
        with pytest.raises(ComponentError):
            encoder.solve(*wrong)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
