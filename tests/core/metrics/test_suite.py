"""`score_images`: what a score carries, how often a network sees a picture, and what is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bdk.errors import DataError, UnknownNameError
from bdk.metrics import NetworkSet, Score, score_images
from bdk.metrics.baselines import CHANCE, MEAN, NEAREST, baseline_scores, mean_image, nearest_training_images
from bdk.metrics.feature_cache import FeatureCache
from bdk.metrics.modules import PixCorr
from bdk.metrics.presets import BRAIN_DIFFUSER, MINDEYE

from tests.core.metrics.test_modules import tiny_network

FAST = ["pixcorr", "alex2", "alex5", "clip", "eff"]


@pytest.fixture
def networks() -> NetworkSet:
    names = {*MINDEYE.networks.values(), *BRAIN_DIFFUSER.networks.values()} - {"swav-resnet50"}
    return NetworkSet({name: tiny_network(name) for name in names}, missing={"swav-resnet50": "Get it: bdk weights."})


def test_a_score_carries_everything_needed_to_trust_it(stimuli, reconstructions, networks):
    entry = score_images(stimuli, reconstructions, networks=networks, metrics=["alex5"])["alex5"].to_json()
    assert set(entry) >= {"value", "low", "high", "chance", "p_value", "direction", "preset", "network", "n"}
    assert entry["network"] == "alexnet/features.11" and entry["weights_sha256"] == "sha-alexnet"
    assert entry["preset"] == "mindeye" and "bilinear 256" in entry["preprocessing"]
    assert entry["low"] <= entry["value"] <= entry["high"]
    assert json.loads(json.dumps(entry)) == entry


def test_missing_weights_give_null_and_the_reason_and_nothing_else_fails(stimuli, reconstructions, networks):
    scores = score_images(stimuli, reconstructions, networks=networks, metrics=["swav", "eff"])
    assert scores["swav"].to_json()["value"] is None
    assert scores["swav"].to_json()["missing"] == "Get it: bdk weights."
    assert scores["eff"].value is not None


def test_scores_come_in_the_order_asked_for(stimuli, reconstructions, networks):
    assert list(score_images(stimuli, reconstructions, networks=networks, metrics=FAST[::-1])) == FAST[::-1]


def test_two_columns_of_one_network_cost_one_look_at_each_picture(stimuli, reconstructions, networks):
    score_images(stimuli, reconstructions, networks=networks, metrics=["alex2", "alex5"])
    assert networks.published["alexnet"].pictures_seen == 16


def test_stimuli_are_embedded_once_for_all_rows_of_a_table(stimuli, reconstructions, networks, tmp_path):
    for made in (reconstructions, 1 - reconstructions, reconstructions.flip(-1)):
        score_images(stimuli, made, networks=networks, metrics=["clip"], feature_cache=tmp_path)
    assert networks.published["clip-vit-l14"].pictures_seen == 8 + 3 * 8


def test_a_row_scored_again_is_not_embedded_again(stimuli, reconstructions, networks, tmp_path):
    first = score_images(stimuli, reconstructions, networks=networks, metrics=FAST, feature_cache=tmp_path)
    seen = {network.name: network.pictures_seen for network in networks.all_networks()}
    again = score_images(stimuli, reconstructions, networks=networks, metrics=FAST, feature_cache=tmp_path)
    assert {network.name: network.pictures_seen for network in networks.all_networks()} == seen
    assert [score.value for score in first.values()] == [score.value for score in again.values()]


def test_other_weights_do_not_reuse_features(stimuli, reconstructions, tmp_path):
    for sha in ("one", "two"):
        network = tiny_network("clip-vit-l14")
        network.weights_sha256 = sha
        score_images(
            stimuli,
            reconstructions,
            networks=NetworkSet({network.name: network}),
            metrics=["clip"],
            feature_cache=tmp_path,
        )
        assert network.pictures_seen == 16


def test_a_damaged_cache_file_is_made_again(stimuli, reconstructions, networks, tmp_path):
    first = score_images(stimuli, reconstructions, networks=networks, metrics=["clip"], feature_cache=tmp_path)
    for path in tmp_path.glob("*.npy"):
        path.write_bytes(b"damaged")
    again = score_images(stimuli, reconstructions, networks=networks, metrics=["clip"], feature_cache=tmp_path)
    assert again["clip"].value == first["clip"].value


def test_the_cache_holds_whole_files_only(stimuli, reconstructions, networks, tmp_path):
    score_images(stimuli, reconstructions, networks=networks, metrics=FAST, feature_cache=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    features = {name.removesuffix(".npy") for name in names if name.endswith(".npy")}
    assert features and names == {f"{key}{suffix}" for key in features for suffix in (".npy", ".sha256")}


@pytest.mark.parametrize("how", ["flipped bit", "cut short", "without its checksum"])
def test_features_that_are_not_as_they_were_written_are_made_again(tmp_path, how):
    block = np.arange(6, dtype=np.float32).reshape(3, 2)

    def make():
        return FeatureCache(tmp_path).make({"a": "key"}, 3, lambda: iter([(0, {"a": block})]))["a"]

    make()
    path = tmp_path / "key.npy"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    if how == "without its checksum":
        (tmp_path / "key.sha256").unlink()
    else:
        path.write_bytes(content if how == "flipped bit" else content[:-1])
    assert FeatureCache(tmp_path).get("key") is None
    assert np.array_equal(make(), block)


def test_the_mean_image_is_seen_once(stimuli, networks):
    baseline_scores(stimuli, stimuli, networks=networks, metrics=["clip"])
    assert networks.published["clip-vit-l14"].pictures_seen == 8 + 1


def test_presets_give_different_numbers_under_different_names(stimuli, reconstructions, networks):
    one, two = (
        score_images(stimuli, reconstructions, preset=preset, networks=networks, metrics=["ssim", "eff"])
        for preset in ("mindeye", "brain-diffuser")
    )
    assert one["ssim"].value != two["ssim"].value
    assert one["ssim"].preprocessing.endswith("SSIM 2d") and two["ssim"].preprocessing.endswith("SSIM columns")
    assert one["eff"].network != two["eff"].network


def test_candidates_are_averaged(stimuli, reconstructions, networks):
    other = reconstructions.flip(-1)
    both = score_images(stimuli, torch.stack([reconstructions, other], 1), networks=networks, metrics=FAST)
    apart = [score_images(stimuli, made, networks=networks, metrics=FAST) for made in (reconstructions, other)]
    for name in FAST:
        assert both[name].value == pytest.approx(np.mean([scores[name].value for scores in apart]), abs=1e-6)
        assert both[name].to_json()["candidates"] == 2


def test_the_spread_between_candidates_is_told_apart_from_that_between_stimuli(stimuli, reconstructions, networks):
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(8, 3, *reconstructions.shape[1:], generator=generator)
    alike = torch.stack([reconstructions] * 3, 1)
    unlike = (0.7 * alike + 0.3 * noise * torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1, 1)).clamp(0, 1)
    spread = {}
    for name, made in (("alike", alike), ("unlike", unlike)):
        entry = score_images(stimuli, made, networks=networks, metrics=["pixcorr"])["pixcorr"].to_json()
        spread[name] = entry["sd_between_candidates"]
    assert spread["alike"] == pytest.approx(0, abs=1e-9) and spread["unlike"] > 0.001
    single = score_images(stimuli, reconstructions, networks=networks, metrics=["pixcorr"])["pixcorr"].to_json()
    assert "sd_between_candidates" not in single


def test_per_stimulus_numbers_average_to_the_value(stimuli, reconstructions, networks):
    for score in score_images(stimuli, reconstructions, networks=networks, metrics=FAST).values():
        assert score.per_stimulus.shape == (8,)
        assert score.per_stimulus.mean() == pytest.approx(score.value)


def test_sides_of_different_length_are_refused(stimuli, reconstructions, networks):
    with pytest.raises(DataError, match="8 stimuli and 7 reconstructions"):
        score_images(stimuli, reconstructions[:7], networks=networks, metrics=["pixcorr"])


def test_an_unknown_metric_is_refused(stimuli, reconstructions, networks):
    with pytest.raises(UnknownNameError, match="pixcor"):
        score_images(stimuli, reconstructions, networks=networks, metrics=["pixcor"])


def test_retrieval_from_pictures_is_missing_with_the_reason(stimuli, reconstructions, networks):
    score = score_images(stimuli, reconstructions, networks=networks, metrics=["image_retrieval"])["image_retrieval"]
    assert score.value is None and "embeddings decoded from the brain" in score.missing


def test_a_single_stimulus_has_pixel_scores_and_no_identification(stimuli, reconstructions, networks):
    scores = score_images(stimuli[:1], reconstructions[:1], networks=networks, metrics=["pixcorr", "clip"])
    assert scores["pixcorr"].value is not None
    assert scores["clip"].value is None and "two stimuli" in scores["clip"].missing


class Negative(PixCorr):
    """A metric of one's own: one minus PixCorr."""

    def per_pair(self, stimuli, reconstructions):
        return 1 - super().per_pair(stimuli, reconstructions)


def test_a_metric_of_another_package_is_scored_like_the_built_in_ones(stimuli, reconstructions, networks, monkeypatch):
    from bdk import registry
    from bdk.components import MetricInfo

    target = f"{__name__}:Negative"
    known = registry.Registry()
    known.metrics["negative"] = MetricInfo("negative", "Negative", target, "down", "low", "corr", "for this test")
    monkeypatch.setattr(registry, "load", lambda: known)
    monkeypatch.setattr(registry, "resolve", lambda name, **_: Negative if name == target else PixCorr)
    scores = score_images(stimuli, reconstructions, networks=networks, metrics=["negative", "pixcorr"])
    assert scores["negative"].value == pytest.approx(1 - scores["pixcorr"].value)
    assert scores["negative"].direction == "down"


def test_the_baseline_rows_are_chance_the_mean_and_the_nearest(stimuli, reconstructions, networks):
    rows = baseline_scores(
        stimuli, reconstructions, nearest_rows=np.arange(8)[::-1], networks=networks, metrics=["pixcorr", "clip"]
    )
    assert list(rows) == [CHANCE, MEAN, NEAREST]
    assert rows[CHANCE]["clip"].value == 0.5
    assert rows[MEAN]["clip"].value == 0.5  # one picture for all: exactly one half
    swapped = score_images(stimuli, reconstructions.flip(0), networks=networks, metrics=["pixcorr"])
    assert rows[NEAREST]["pixcorr"].value == pytest.approx(swapped["pixcorr"].value)


def test_the_mean_image_is_the_mean(stimuli):
    assert torch.allclose(mean_image(stimuli), stimuli.mean(0), atol=1e-6)


def test_the_nearest_training_image_is_found_from_the_brain_alone(stimuli):
    generator = np.random.default_rng(0)
    known = generator.normal(size=(8, 5))
    pictures, rows = nearest_training_images(stimuli, known[[3, 1]] + 0.01, known)
    assert rows.tolist() == [3, 1]
    assert torch.equal(pictures.picture(0), stimuli[3])


def test_stamps_stay_with_the_number():
    score = Score(0.8, name="clip").stamped("oracle").stamped("oracle", "synthetic")
    assert score.to_json()["stamps"] == ["oracle", "synthetic"]


def test_values_that_are_not_finite_become_null_in_json():
    assert Score(float("nan"), low=float("-inf")).to_json()["value"] is None
