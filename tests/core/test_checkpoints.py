"""Published checkpoints: what is read, and what is refused."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from bdk.artifacts import Store
from bdk.checkpoints import find, keep, load_into
from bdk.contexts import EncoderContext, PriorContext
from bdk.errors import ArtifactError, BdkError, ComponentError, DataError, SpecError
from bdk.published import read
from bdk.registry import build, config_class

VOXELS = 11
SMALL = {
    "encoder": {"hidden": 4, "blocks": 2, "projector_width": 4},
    "prior": {"depth": 1, "heads": 2, "dim_head": 8, "ff_mult": 1},
}
USES = {"mindeye": ("mlp", "clip-vit-l14/image"), "brainram": ("mamba", "clip-vit-l14/text")}


def parts(registry, source: str, voxels: int = VOXELS):
    torch.manual_seed(0)
    use, space_id = USES[source]
    space = registry.space(space_id)
    made = {}
    for family, name, context in (
        ("encoder", use, EncoderContext(voxels, space)),
        ("prior", "diffusion", PriorContext(space)),
    ):
        info = registry.component(family, name)
        made[family] = build(info, config_class(info).model_validate(SMALL[family]), context)
    return made


def published(made) -> dict[str, torch.Tensor]:
    """What the releases would have saved for these parts."""
    state = {}
    for part in made.values():
        state |= {theirs: part.state_dict()[ours].clone() for ours, theirs in part.published_names().items()}
        state |= part.published_constants()
    return state


@pytest.fixture
def save(tmp_path):
    def write(state, **more):
        path = tmp_path / "last.pth"
        torch.save({"epoch": 239, "model_state_dict": state, "train_losses": [1.0, 0.5], **more}, path)
        return path

    return write


@pytest.mark.parametrize("source", USES)
def test_a_published_checkpoint_is_read_kept_and_loaded(registry, save, tmp_path, source):
    made = parts(registry, source)
    found = read(save(published(made)), source, registry, options=SMALL)
    assert (found.voxels, found.space.id, found.guide) == (VOXELS, USES[source][1], USES[source][1].split("/")[1])
    store = Store(tmp_path / "store")
    artifact = keep(found, store)
    assert keep(found, store).key == artifact.key
    fresh = parts(registry, source)
    for part in fresh.values():
        for parameter in part.parameters():
            torch.nn.init.zeros_(parameter)
    load_into(find(store, artifact.key[:12]), fresh, voxels=VOXELS, space=found.space)
    for family, part in made.items():
        for key, value in part.state_dict().items():
            assert torch.equal(value, fresh[family].state_dict()[key]), key


def test_the_prefix_of_data_parallel_is_taken_off(registry, save):
    state = {f"module.{key}": value for key, value in published(parts(registry, "mindeye")).items()}
    assert read(save(state), "mindeye", registry, options=SMALL).voxels == VOXELS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"net.extra": torch.zeros(1)}, "Key 'net.extra' is unknown to this format"),
        (
            lambda s: {k: v for k, v in s.items() if k != "voxel2clip.lin1.bias"},
            "Key 'voxel2clip.lin1.bias' is missing",
        ),
        (
            lambda s: s | {"voxel2clip.lin0.0.bias": torch.zeros(5)},
            r"'voxel2clip.lin0.0.bias' has shape \(5,\), not \(4,\)",
        ),
        (lambda s: s | {"net.null_image_embed": s["net.null_image_embed"] / 0}, "'net.null_image_embed' holds numbers"),
        (
            lambda s: s | {"noise_scheduler.betas": s["noise_scheduler.betas"] * 2},
            "'noise_scheduler.betas' has other values",
        ),
        (lambda s: s | {"voxel2clip.lin0.0.bias": "zeros"}, "'voxel2clip.lin0.0.bias' is no tensor"),
        (lambda s: {k: v for k, v in s.items() if not k.startswith("net.")}, "does not say its tokens and dim"),
        (lambda s: {k: v for k, v in s.items() if not k.startswith("voxel2clip.")}, "does not say its voxels"),
    ],
)
def test_a_file_with_anything_unexpected_is_refused_with_the_key_named(registry, save, change, message):
    path = save(change(published(parts(registry, "mindeye"))))
    with pytest.raises(DataError, match=message) as caught:
        read(path, "mindeye", registry, options=SMALL)
    assert str(path) in caught.value.where and caught.value.mend


class _Code:
    def __reduce__(self):
        return print, ("this ran",)


def test_the_schedule_that_the_releases_pickle_beside_their_weights_is_passed_over(registry, save):
    """torch 2.0 kept a method among the schedule's state, pickled as ``getattr(OneCycleLR, "_annealing_cos")``."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-4, total_steps=10)
    state = {**schedule.state_dict(), "anneal_func": torch.optim.lr_scheduler.OneCycleLR._annealing_cos}
    more = {"optimizer_state_dict": optimiser.state_dict(), "lr_scheduler": state, "lrs": [1.2e-5], "val_losses": [2.0]}
    path = save(published(parts(registry, "mindeye")), **more)
    with pytest.raises(pickle.UnpicklingError, match="getattr"):
        torch.load(path, weights_only=True)
    assert read(path, "mindeye", registry, options=SMALL).voxels == VOXELS


class _Reach:
    def __reduce__(self):
        return getattr, (torch.optim.lr_scheduler.OneCycleLR, "step")


def test_what_is_passed_over_cannot_stand_for_a_weight(registry, save):
    path = save(published(parts(registry, "mindeye")) | {"voxel2clip.lin0.0.bias": _Reach()})
    with pytest.raises(DataError, match=r"'voxel2clip.lin0.0.bias' is no tensor"):
        read(path, "mindeye", registry, options=SMALL)


def test_pickled_code_is_named_and_never_run(registry, save, capsys):
    path = save(published(parts(registry, "mindeye")), optimizer=_Code())
    with pytest.raises(DataError, match=r"pickled code '.*print'"):
        read(path, "mindeye", registry, options=SMALL)
    assert "this ran" not in capsys.readouterr().out


def test_files_that_are_no_checkpoints_are_refused(registry, tmp_path):
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "none.pth", "mindeye", registry)
    (tmp_path / "noise.pth").write_bytes(b"noise" * 100)
    with pytest.raises(DataError):
        read(tmp_path / "noise.pth", "mindeye", registry)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="no 'model_state_dict'"):
        read(tmp_path / "other.pth", "mindeye", registry)
    with pytest.raises(SpecError, match="No checkpoint format 'takagi'"):
        read(tmp_path / "other.pth", "takagi", registry)


def test_one_releases_checkpoint_is_not_taken_for_the_others(registry, save):
    path = save(published(parts(registry, "brainram")))
    with pytest.raises(DataError, match="unknown to this format"):
        read(path, "mindeye", registry, options=SMALL)


def test_published_sizes_are_the_default(registry, save):
    with pytest.raises(DataError, match=r"is missing|has shape"):
        read(save(published(parts(registry, "mindeye"))), "mindeye", registry)


def test_a_run_of_other_sizes_does_not_take_the_weights_and_keeps_its_own(registry, save, tmp_path):
    found = read(save(published(parts(registry, "mindeye"))), "mindeye", registry, options=SMALL)
    artifact = keep(found, Store(tmp_path / "store"))
    fresh = parts(registry, "mindeye", voxels=VOXELS + 1)
    before = {key: value.clone() for key, value in fresh["prior"].state_dict().items()}
    with pytest.raises(ComponentError, match="voxel count is 12, but the imported checkpoint has 11"):
        load_into(artifact, fresh, voxels=VOXELS + 1, space=found.space)
    with pytest.raises(ComponentError, match=r"encoder's 'stem.0.weight' is \(4, 12\)"):
        load_into(artifact, fresh, voxels=VOXELS, space=found.space)
    with pytest.raises(ComponentError, match="space"):
        load_into(artifact, fresh, voxels=VOXELS, space=registry.space("clip-vit-l14/text"))
    with pytest.raises(ComponentError, match="parts"):
        load_into(artifact, {**fresh, "prior": None}, voxels=VOXELS, space=found.space)
    assert all(torch.equal(value, before[key]) for key, value in fresh["prior"].state_dict().items())


def test_a_key_that_names_no_checkpoint_is_refused(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(ArtifactError, match="No artifact"):
        find(store, "abc")
    artifact, _ = store.make("ab" * 32, {"kind": "data", "label": "x"}, lambda out, work: None)
    with pytest.raises(ArtifactError, match="no imported checkpoint"):
        find(store, artifact.key)


def test_the_command_prints_the_key_to_put_into_a_spec(registry, save, tmp_path, capsys):
    typer = pytest.importorskip("typer")
    from bdk_cli.imports import register

    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    path = save(published(parts(registry, "mindeye")))
    flat = [f"--set={family}.{name}={value}" for family, some in SMALL.items() for name, value in some.items()]
    app(["import", "mindeye", str(path), *flat, "--json", "--store", str(tmp_path / "s")], standalone_mode=False)
    facts = json.loads(capsys.readouterr().out)
    assert facts["voxels"] == VOXELS and facts["parts"]["encoder"]["use"] == "mlp"
    assert find(Store(tmp_path / "s"), facts["key"]).recipe["sha256"] == facts["sha256"]
    with pytest.raises(BdkError, match="not understood"):
        app(["import", "mindeye", str(path), "--set=hidden"], standalone_mode=False)
