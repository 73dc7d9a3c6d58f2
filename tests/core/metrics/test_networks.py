"""Feature networks against torchvision's own, and what happens when weights are missing."""

from __future__ import annotations

import pytest
import torch
import torchvision
from bdk.errors import DataError, WeightsMissingError
from bdk.metrics import architectures, stand_ins
from bdk.metrics.networks import LAYERS, NetworkSet
from bdk.metrics.presets import BRAIN_DIFFUSER, IMAGENET, MINDEYE
from bdk.weights import Manifest
from torch import nn


def normalised(images: torch.Tensor, size: int) -> torch.Tensor:
    based = nn.functional.interpolate(images, size=(256, 256), mode="bilinear")
    small = nn.functional.interpolate(based, size=(size, size), mode="bilinear")
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in IMAGENET)
    return (small - mean) / std


def hooked(model: nn.Module, layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    caught = []
    handle = layer.register_forward_hook(lambda *call: caught.append(call[2].detach().clone()))
    with torch.no_grad():
        model.eval()(images)
    handle.remove()
    return caught[0].flatten(1)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    """Random weights of the real architectures, saved as their authors save them."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    models = {
        "alexnet": torchvision.models.alexnet(),
        "inception-v3": torchvision.models.inception_v3(init_weights=False),
        "efficientnet-b1-v1": torchvision.models.efficientnet_b1(),
        "efficientnet-b1-v2": torchvision.models.efficientnet_b1(),
        "swav-resnet50": torchvision.models.resnet50(),
    }
    known = Manifest(folder, {})
    for name, model in models.items():
        state = model.state_dict()
        if name == "swav-resnet50":  # as in the published checkpoint
            state = {f"module.{key}": value for key, value in state.items() if not key.startswith("fc.")}
            state |= {
                "module.projection_head.0.weight": torch.zeros(2, 2),
                "module.prototypes.weight": torch.zeros(2, 2),
            }
        path = folder / f"{name}.pth"
        torch.save(state, path)
        known.entries[name] = _entry(name, path)
    return known


def _entry(name, path):
    from bdk.weights import Entry, weights_digest

    return Entry(name, path, weights_digest(path), path.stat().st_size, "2024-01-01")


@pytest.mark.parametrize(
    ("column", "build", "layer", "size"),
    [
        ("alex2", torchvision.models.alexnet, lambda m: m.features[4], 256),
        ("alex5", torchvision.models.alexnet, lambda m: m.features[11], 256),
        ("incep", lambda: torchvision.models.inception_v3(init_weights=False), lambda m: m.avgpool, 342),
        ("eff", torchvision.models.efficientnet_b1, lambda m: m.avgpool, 255),
        ("swav", torchvision.models.resnet50, lambda m: m.avgpool, 224),
    ],
)
def test_features_are_torchvisions_own(manifest, stimuli, column, build, layer, size):
    tap = NetworkSet.from_manifest(manifest).tap(column, MINDEYE)
    ours = tap.network.features(tap.network.prepare(stimuli[:2], MINDEYE))[tap.layer]
    model = build()
    state = torch.load(manifest.entry(tap.network.name).path, weights_only=True)
    state = {key.removeprefix("module."): value for key, value in state.items() if "pro" not in key.split(".")[1][:3]}
    model.load_state_dict(state, strict=column != "swav")
    if column == "incep":
        model.transform_input = True  # as torchvision sets it for its pretrained weights
    expected = hooked(model, layer(model), normalised(stimuli[:2], size))
    assert ours.shape == expected.shape
    assert torch.allclose(ours, expected, atol=1e-5 * float(expected.abs().max()))


def test_alexnets_columns_have_the_published_widths(manifest, stimuli):
    network = NetworkSet.from_manifest(manifest).tap("alex2", MINDEYE).network
    features = network.features(network.prepare(stimuli[:1], MINDEYE))
    assert {layer: block.shape[1] for layer, block in features.items()} == {
        "features.4": 184_512,
        "features.11": 57_600,
    }


def test_presets_read_different_efficientnets(manifest):
    networks = NetworkSet.from_manifest(manifest)
    assert networks.tap("eff", MINDEYE).network.name == "efficientnet-b1-v2"
    assert networks.tap("eff", BRAIN_DIFFUSER).network.name == "efficientnet-b1-v1"
    assert networks.tap("eff", MINDEYE).network.weights_sha256 == manifest.entry("efficientnet-b1-v2").sha256


def test_missing_weights_are_an_error_with_the_line_that_gets_them(manifest):
    with pytest.raises(WeightsMissingError, match="bdk weights fetch clip-vit-l14"):
        NetworkSet.from_manifest(manifest).tap("clip", MINDEYE)


def test_weights_of_another_network_are_refused(manifest, tmp_path):
    wrong = Manifest(tmp_path, {"alexnet": _entry("alexnet", manifest.entry("efficientnet-b1-v1").path)})
    tap = NetworkSet.from_manifest(wrong).tap("alex2", MINDEYE)
    with pytest.raises(DataError, match="not the weights of this network"):
        tap.network.features(torch.zeros(1, 3, 64, 64))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("this must not be printed",))

    path = tmp_path / "evil.pth"
    torch.save({"state": Evil()}, path)
    with pytest.raises(DataError, match="cannot be read"):
        architectures.read_state(path)


def test_random_networks_are_marked_as_not_comparable():
    tap = NetworkSet.random().tap("swav", MINDEYE)
    assert "not comparable" in tap.network.stand_in_for
    assert tap.network.weights_sha256 == "random-0"


def test_random_networks_of_one_seed_agree(stimuli):
    one, two, other = (NetworkSet.random(seed).tap("eff", MINDEYE).network for seed in (3, 3, 4))
    images = one.prepare(stimuli[:1], MINDEYE)
    assert torch.equal(one.features(images)["avgpool"], two.features(images)["avgpool"])
    assert not torch.equal(one.features(images)["avgpool"], other.features(images)["avgpool"])


def test_every_column_of_the_table_names_a_network_in_every_preset():
    for preset in (MINDEYE, BRAIN_DIFFUSER):
        assert set(preset.networks) == set(LAYERS)
        assert set(preset.networks.values()) <= set(architectures.PUBLISHED)


def test_the_demo_worlds_networks_say_what_they_stand_in_for():
    networks = NetworkSet.demo()
    assert networks.tap("eff", MINDEYE).network.stand_in_for == "efficientnet-b1"
    assert networks.tap("eff", MINDEYE).label == "effnet-lite0/avgpool"
    with pytest.raises(WeightsMissingError, match="no stand-in"):
        networks.tap("alex2", MINDEYE)


def test_the_stand_in_recognises_a_photograph():
    """Real weights in the right architecture: a cat is a cat (ImageNet classes 281 to 285)."""
    skimage_data = pytest.importorskip("skimage.data")
    import timm

    network = stand_ins.efficientnet_lite0()
    cat = torch.from_numpy(skimage_data.chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None].float() / 255
    pooled = network.features(network.prepare(cat, MINDEYE))["avgpool"]
    head = timm.create_model("tf_efficientnet_lite0", pretrained=False).classifier
    state = list(architectures.read_state(stand_ins.lite0_file()).values())
    head.load_state_dict({"weight": state[-2], "bias": state[-1]})
    assert 281 <= int(head(pooled).argmax()) <= 285


@pytest.mark.slow
def test_clips_image_tower_is_open_clips(stimuli, tmp_path):
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-L-14-quickgelu", pretrained=None)
    visual = {f"visual.{key}": value for key, value in model.visual.state_dict().items()}
    path = tmp_path / "clip.safetensors"
    save_file({**visual, "logit_scale": torch.zeros(())}, path)
    network = architectures.PUBLISHED["clip-vit-l14"](path, "0" * 64, "cpu")
    images = network.prepare(stimuli[:1], MINDEYE)
    ours = network.features(images)["embedding"]
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (network.mean, network.std))
    with torch.no_grad():
        expected = model.eval().encode_image((images - mean) / std)
    assert torch.allclose(ours, expected, atol=1e-5)
