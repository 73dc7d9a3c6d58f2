from __future__ import annotations

import tomllib

import pytest
import tomli_w
from bdk.errors import SpecError, UnknownNameError
from bdk.spec import load

from tests.tiny import spec


def write(tmp_path, text: str, name: str = "mine.toml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def only(sweep):
    (run,) = sweep.runs
    return run


def test_switching_use_drops_the_old_options(registry, tmp_path):
    base = write(tmp_path, 'extends = "brainram"\n[encoder]\nuse = "mamba"\nstate = 8\n')
    run = only(load(base, registry, overrides=[("encoder", "mlp")]))
    assert run.guide("image").encoder.use == "mlp"
    assert "state" not in run.guide("image").encoder.options.model_dump()


def test_the_same_use_keeps_the_options(registry, tmp_path):
    base = write(tmp_path, 'extends = "brainram"\n[encoder]\nuse = "mamba"\nstate = 8\n')
    run = only(load(base, registry, overrides=[("encoder.conv", "3")]))
    options = run.guide("image").encoder.options
    assert (options.state, options.conv) == (8, 3)


def test_an_option_can_be_set_for_one_guide_alone(registry):
    run = only(load("brainram", registry, overrides=[("guide.text.encoder", "ridge")]))
    assert [guide.encoder.use for guide in run.guides] == ["mamba", "ridge"]


def test_the_resolved_spec_reads_back_to_the_same_run(registry, tmp_path):
    first = only(load("brainram", registry, overrides=[("guide.text.encoder", "ridge"), ("stage1.steps", "7")]))
    again = only(load(write(tmp_path, tomli_w.dumps(first.plain())), registry))
    assert again.plain() == first.plain()


def test_when_tables_hold_for_their_data_alone(registry):
    demo = only(load("brainram", registry))
    full = only(load("brainram", registry, overrides=[("data", "nsd"), ("data.path", "somewhere")]))
    assert demo.decoder.use == "demo" and full.decoder.use == "versatile-diffusion"
    assert demo.guide("image").encoder.options.hidden < full.guide("image").encoder.options.hidden == 4096


def test_quick_scales_what_the_user_did_not_set(registry):
    run = only(load("brainram", registry, quick=True, overrides=[("data.test", "33")]))
    assert run.data.options.test == 33
    assert run.data.options.train == type(run.data.options).model_fields["train"].json_schema_extra["quick"]


def test_seeds_make_replicates(registry):
    sweep = load("table4", registry, overrides=[("seeds", "[1, 2]")])
    assert [run.name for run in sweep.runs][:2] == ["none/seed-1", "none/seed-2"]
    assert {run.seed for run in sweep.runs} == {1, 2}


def test_a_grid_is_a_product(registry, tmp_path):
    path = write(tmp_path, 'extends = "brainram"\n[grid]\nencoder = ["mlp", "mamba"]\nfusion = ["average", "ram"]\n')
    assert [run.name for run in load(path, registry).runs] == ["mlp-average", "mlp-ram", "mamba-average", "mamba-ram"]


def test_table_3_has_the_papers_six_rows_with_its_numbers(registry):
    sweep = load("table3", registry)
    assert len(sweep.runs) == 6
    assert all(len(run.reported) == 8 for run in sweep.runs)


def test_table_4_marks_the_rows_that_are_ours(registry):
    sweep = load("table4", registry)
    assert {run.name for run in sweep.runs if run.ours} == {"none", "self-attention"}
    assert {run.name for run in sweep.runs if run.reported} == {"average", "conv1x1", "cross-attention", "ram"}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([("encoder", "mamb")], ["mamb", "Did you mean 'mamba'", "encoder.use"]),
        ([("encoder.hiden", "4")], ["hiden", "Did you mean 'hidden'", "Known"]),
        ([("encoder.hidden", "many")], ["hidden", "integer", "many"]),
        ([("retriever", "none")], ["no neighbours to fuse", "fusion.use", "--retriever"]),
        ([("guides", "image,image")], ["twice"]),
        ([("stage1.steps", "-3")], ["steps", "greater than or equal to 0"]),
        ([("encoder", "3")], ["encoder", "must be a name"]),
    ],
)
def test_a_mistake_is_told_with_what_where_and_how_to_mend(registry, overrides, words):
    with pytest.raises(SpecError) as caught:
        load("brainram", registry, overrides=overrides)
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_spec_is_refused_with_the_known_ones(registry):
    with pytest.raises(UnknownNameError, match="brainram"):
        load("brainrum", registry)


def test_malformed_toml_names_the_line(registry, tmp_path):
    with pytest.raises(SpecError, match="line 2"):
        load(write(tmp_path, 'name = "x"\nencoder = = 3\n'), registry)


def test_an_unknown_table_is_refused(registry, tmp_path):
    with pytest.raises(SpecError, match="Did you mean 'encoder'"):
        load(write(tmp_path, 'extends = "brainram"\n[encodr]\nuse = "mlp"\n'), registry)


def test_a_swept_key_cannot_be_set_from_outside(registry):
    with pytest.raises(SpecError, match="swept"):
        load("table4", registry, overrides=[("fusion", "ram")])


def test_a_spec_that_extends_itself_is_refused(registry, tmp_path):
    with pytest.raises(SpecError, match="extends itself"):
        load(write(tmp_path, 'extends = "mine.toml"\n'), registry)


def test_two_rows_of_one_name_are_refused(registry, tmp_path):
    text = 'extends = "brainram"\n[[variant]]\nname = "a"\n[[variant]]\nname = "a"\n'
    with pytest.raises(SpecError, match="Two rows"):
        load(write(tmp_path, text), registry)


def test_every_bundled_spec_resolves(registry):
    for name in registry.specs:
        sweep = load(name, registry)
        for run in sweep.runs:
            tomllib.loads(tomli_w.dumps(run.plain()))


def test_quick_makes_nothing_larger(registry, tmp_path):
    (run,) = load(spec(tmp_path), registry, quick=True).runs
    sizes = run.data.options
    assert (sizes.train, sizes.test, sizes.voxels) == (40, 12, 64)
    (whole,) = load("brainram", registry, quick=True).runs
    assert whole.data.options.train == 400 and whole.data.options.voxels == 512
