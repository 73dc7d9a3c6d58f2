"""The published systems as bundled specs: what they cite, how large they are, and that they run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bdk.artifacts import Store
from bdk.errors import BdkError, PlanError, SpecError
from bdk.plan import make_plan
from bdk.report.published import published_rows, slips
from bdk.runs import execute
from bdk.sizes import sizes_of
from bdk.spec import load

SYSTEMS = ("brainram", "mindeye", "brain-diffuser", "takagi", "mind-reader", "gu")
SPACES = str(Path(__file__).parents[1] / "tiny_spaces.py")
FULL_SIZE = {
    "mindeye": {"image": 947_579_904 + 56_055_168, "low": 205_505_988},
    "mind-reader": {"image": 1_156_929, "text": 1_156_929},
    "brainram": {"image": 880_455_136 + 56_055_168, "text": 314_085_856 + 55_640_448},
}
"""Weights that train, as counted in the published code for 15,724 voxels."""
SMALL_PARTS = {
    "mlp": {"hidden": 16, "blocks": 1, "projector_width": 8},
    "mamba": {"hidden": 16, "blocks": 1, "projector_width": 8},
    "latent-upsampler": {"hidden": 16, "blocks": 1, "channels": 8},
    "conv1d-resnet": {"channels": 4, "blocks": 1, "squeeze": 4},
}


def plan_of(registry, *names, **options):
    return make_plan([load(name, registry, **options) for name in names], registry)


def small(name, registry, **options):
    """Overrides that make every part of a spec small, on whatever data."""
    spec = load(name, registry, **options).runs[0]
    found = {"stage1.steps": 3, "stage2.steps": 2, "stage1.batch_size": 8, "stage2.batch_size": 8}
    found |= {"select.candidates": min(2, spec.select.candidates)}
    for guide in spec.guides:
        sizes = SMALL_PARTS.get(guide.encoder.use, {})
        found |= {f"guide.{guide.name}.encoder.{key}": value for key, value in sizes.items()}
        if guide.encoder.use == "ridge":
            found[f"guide.{guide.name}.encoder.alphas"] = [100.0]
        if guide.prior:
            prior = {"samples": 2, "depth": 1, "heads": 1, "dim_head": 8, "sampler": "dpm-2"}
            found |= {f"guide.{guide.name}.prior.{key}": value for key, value in prior.items()}
        if guide.fusion:
            found |= {f"guide.{guide.name}.fusion.heads": 2, f"guide.{guide.name}.retriever.k": 2}
    return [(key, json.dumps(value)) for key, value in found.items()]


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_a_table_reports_what_the_paper_printed_and_nothing_else(registry, table):
    sweep = load(table, registry)
    rows = {row.name: dict(row.reported) for row in (*sweep.runs, *sweep.cited)}
    assert rows == published_rows(table)
    assert list(sweep.order) == list(published_rows(table))
    assert len(slips(sweep.footnotes)) == len(sweep.footnotes) >= 7


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_cites_its_source_and_says_what_differs(registry, name):
    (spec,) = load(name, registry).runs
    assert spec.cite and all(key in registry.citations for key in spec.cite)
    assert len(spec.note) > 80 or name == "brainram"
    assert load(name, registry, overrides=[("data", "nsd")]).runs[0].reported == spec.reported


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_planned_at_full_size_without_data_or_weights(registry, tmp_path, name):
    plan = plan_of(registry, name, overrides=[("data", "nsd")])
    facts = sizes_of(plan, registry, Store(tmp_path))
    found = {plan.steps[key].guide: fact for key, fact in facts.items() if plan.steps[key].kind == "estimate"}
    for guide, count in FULL_SIZE.get(name, {}).items():
        assert found[guide]["parameters"] == count
    data = next(fact for key, fact in facts.items() if plan.steps[key].kind == "data")
    assert data["disk_bytes"] == 9841 * (4 * 15_724 + 3 * 425 * 425)
    if name == "brain-diffuser":
        assert found["image"]["parameters"] > 15_724 * 257 * 768
    assert any(fact.get("missing") for fact in facts.values())


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_decoded_into_the_spaces_of_its_published_generator(registry, name):
    (run,) = plan_of(registry, name, overrides=[("data", "nsd")]).runs
    assert {guide: space.id for guide, space in run.spaces.items()} == {
        "brainram": {"image": "clip-vit-l14/image", "text": "clip-vit-l14/text"},
        "mindeye": {"image": "clip-vit-l14/image", "low": "sd-vae/latent"},
        "brain-diffuser": {"image": "clip-vit-l14/image", "text": "clip-vit-l14/text", "low": "sd-vae/latent"},
        "takagi": {"text": "sd14/text", "low": "sd-vae/latent-40"},
        "mind-reader": {"image": "clip-vit-b32/pooled", "text": "clip-vit-b32/pooled-text"},
        "gu": {"image": "swav/instance"},
    }[name]


def test_tables_1_to_4_share_the_steps_that_are_equal(registry):
    plan = plan_of(registry, "table1", "table2", "table3")
    shared = [plan.steps[key].label for key in plan.steps if len({user.split("/")[0] for user in plan.users(key)}) == 3]
    assert {"estimate image (mamba + diffusion)", "retrieve image (laion2b)", "refine image (ram)"} <= set(shared)
    both = [plan.steps[key].label for key in plan.steps if {"table1/mindeye", "table2/mindeye"} <= set(plan.users(key))]
    assert "estimate image (mlp + diffusion)" in both


DEMO = [("data.train", "40"), ("data.test", "12"), ("data.voxels", "64"), ("measure.metrics", '["pixcorr"]')]


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_runs_on_the_demo_world(registry, tmp_path, name):
    gallery = [("retriever.n", "60")] if name == "brainram" else []
    overrides = [*DEMO, *small(name, registry), ("decoder.steps", "2"), *gallery]
    finished = execute([name], out=tmp_path / "run", overrides=overrides)
    scores = json.loads((tmp_path / "run/metrics.json").read_text())["metrics"]
    assert finished.failures == {} and scores["pixcorr"]["n"] == 12
    assert len(list((tmp_path / "run/images").glob("*.png"))) == 12


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tiny weights and a small NSD; the manifest that lists them."""
    from tests import tiny_weights

    root = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BDK_WEIGHTS", str(root / "weights"))
        yield tiny_weights.make(root)


def nsd(world, name):
    """Overrides that lead a spec to the small NSD and the tiny weights."""
    folders = {"brainram": world.versatile, "mindeye": world.versatile, "brain-diffuser": world.versatile}
    tokens = [("decoder.image", "tiny/image"), ("decoder.text", "tiny/text"), ("decoder.low", "tiny/latent")]
    found = [("data", "nsd"), ("data.path", str(world.data)), ("data.train", "40"), ("data.test", "10")]
    if name in folders:
        found += [("decoder.weights", str(folders[name])), *tokens]
    if name == "brainram":
        found += [("retriever.root", str(world.gallery))]
    if name == "takagi":
        found += [("decoder.weights", str(world.stable)), ("decoder.text", "tiny/states")]
        found += [("decoder.low", "tiny/latent-small"), ("decoder.side", "64")]
    if name in ("gu", "mind-reader"):
        guides = {"gu": '{image = "tiny/pooled"}', "mind-reader": '{image = "tiny/pooled", text = "tiny/pooled-text"}'}
        found += [("decoder.path", str(world.generators[name])), ("decoder.guides", guides[name])]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_runs_on_a_miniature_nsd_with_tiny_random_weights(registry, world, tmp_path, name):
    overrides = [*small(name, registry, overrides=[("data", "nsd")]), *nsd(world, name)]
    finished = execute([name], out=tmp_path / "run", overrides=overrides, quick=True, plugins=[SPACES])
    document = json.loads((tmp_path / "run/metrics.json").read_text())
    assert finished.failures == {} and document["metrics"]["pixcorr"]["n"] == 10
    assert "fetch alexnet" in document["metrics"]["alex2"]["missing"]
    assert document["stamps"]["subset"] == "40 of 8859 training and 10 of 982 test stimuli"
    assert len(list((tmp_path / "run/images").glob("*.png"))) == 10


@pytest.mark.slow
def test_table_1_runs_the_rows_whose_weights_are_there_and_cites_the_rest(registry, world, tmp_path):
    overrides = [*DEMO[-1:], ("data", "nsd"), ("data.path", str(world.data)), ("stage1.steps", "2")]
    spec = tmp_path / "mine.toml"
    spec.write_text(
        'name = "mine"\nunavailable = "cite"\n'
        f'[[variant]]\nname = "gu"\nspec = "gu"\n"decoder.path" = "{world.generators["gu"]}"\n'
        '"encoder.hidden" = 8\n"decoder.guides" = {image = "tiny/pooled"}\nreported = {eff = 0.862}\n'
        '[[variant]]\nname = "takagi"\nspec = "takagi"\nreported = {clip = 63.3}\n'
    )
    finished = execute([str(spec)], out=tmp_path / "out", overrides=overrides, quick=True, plugins=[SPACES])
    table = (tmp_path / "out/table.md").read_text()
    assert finished.failures == {} and (tmp_path / "out/gu/metrics.json").is_file()
    assert "Cited, not run" in table and "63.3" in table and not (tmp_path / "out/takagi").exists()


def test_a_table_of_which_no_row_can_be_run_says_what_the_first_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(BdkError, match=r"No row of 'table1' can be run here\. lin: No prepared folder"):
        execute(["table1"], out=tmp_path / "out", overrides=[("data", "nsd")])


def test_a_row_that_names_a_sweep_is_refused(registry, tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\n[[variant]]\nname = "a"\nspec = "table3"\n')
    with pytest.raises(SpecError, match="is a sweep itself"):
        load(str(tmp_path / "mine.toml"), registry)


def test_a_fusion_has_nothing_to_learn_from_without_training_estimates(registry):
    with pytest.raises(PlanError, match="has nothing to learn from"):
        plan_of(registry, "brainram", overrides=[("stage1.estimates", "none")])
    plan_of(registry, "brainram", overrides=[("stage1.estimates", "none"), ("fusion", "average")])


def test_candidates_of_nearest_walk_the_samples_and_then_the_ranks():
    from bdk.decode import _neighbour

    ids = np.arange(2 * 4 * 3).reshape(2, 4, 3)
    shown = [int(_neighbour(ids, candidate)[0, 0]) for candidate in range(16)]
    assert shown == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 2, 5, 8, 11]
    one = [int(_neighbour(ids[:, :1], candidate)[1, 0]) for candidate in range(3)]
    assert one == [12, 13, 14]


def test_ridge_renormed_by_the_test_set_sees_all_of_it_at_once(registry, tmp_path):
    overrides = [*DEMO, ("data.test", "40"), ("decoder", "none"), ("guides", "low"), *small("brain-diffuser", registry)]
    overrides = [pair for pair in overrides if not pair[0].startswith(("guide.image", "guide.text", "select"))]
    overrides.remove(("data.test", "12"))
    finished = execute(["brain-diffuser"], out=tmp_path / "run", overrides=overrides)
    (run,) = finished.plan.runs
    samples = finished.store.need(run.keys["estimate.low"], "estimate").array("test_samples.npy")[:, 0]
    targets = finished.store.need(run.keys["targets.low"], "targets").array("tokens.npy")[:40]
    np.testing.assert_allclose(samples.mean(0), targets.mean(0), atol=2e-4)
    np.testing.assert_allclose(samples.std(0), targets.std(0), atol=2e-4)
