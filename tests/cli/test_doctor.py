"""The doctor finds what is here, tells what a spec lacks with the line that gets it, and exits by it."""

from __future__ import annotations

import json
import sys
import types

import pytest
from bdk import doctor
from bdk.errors import MissingExtraError
from bdk.lacking import package_lacks
from bdk.weights import Manifest
from bdk_cli.main import app, main
from typer.testing import CliRunner

from tests.plugins.decoders import tiny_models

RUN = CliRunner()


@pytest.fixture(autouse=True)
def bare_machine(tmp_path, monkeypatch):
    """A machine without weights and galleries."""
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("BDK_GALLERIES", str(tmp_path / "galleries.toml"))


def ask(*arguments, overrides=()):
    ended = RUN.invoke(app, ["doctor", *arguments, "--json"], obj=list(overrides))
    document = json.loads(ended.stdout)
    assert document["needed"] == (ended.exit_code == 1)
    return ended.exit_code, document["findings"]


def of(findings, topic, name=""):
    return [f for f in findings if f["topic"] == topic and (not name or f["name"] == name)]


def test_a_sound_machine_is_asked_about_by_itself_and_exits_with_0():
    code, findings = ask()
    assert code == 0 and {f["state"] for f in findings} <= {"ok", "absent"}
    topics = ["versions", "accelerators", "kernels", "weights", "galleries", "data", "plugins", "store"]
    assert list(dict.fromkeys(f["topic"] for f in findings)) == topics
    assert of(findings, "versions", "torch")[0]["said"]
    assert all(f["mend"] for f in findings if f["state"] == "absent" and f["topic"] != "accelerators")


def test_the_demo_world_lacks_nothing():
    code, findings = ask("brainram")
    assert code == 0 and of(findings, "spec brainram")[0]["said"] == "nothing is missing"


def test_a_published_system_lacks_data_weights_and_gallery_with_the_lines_that_get_them():
    code, findings = ask("brainram", overrides=[("data", "nsd")])
    found = {f["said"]: f["mend"] for f in of(findings, "spec brainram") if f["needed"]}
    assert code == 1
    assert found == {
        "No prepared folder is named.": "bdk data prepare nsd --root NSD --subject 1 --out DIR, then --data.path DIR",
        "Weights 'clip-vit-l14' are not on this machine.": "bdk weights fetch clip-vit-l14    (or, with the file at "
        "hand: bdk weights add clip-vit-l14 PATH)",
        "Where the gallery 'laion2b' lies is not known.": found["Where the gallery 'laion2b' lies is not known."],
        "Weights 'versatile-diffusion' are not on this machine.": "bdk weights convert-vd PUBLISHED OUT    (PUBLISHED: "
        "image_unet, text_unet, vae, scheduler)",
    }
    assert "bdk index build" in found["Where the gallery 'laion2b' lies is not known."]
    unmeasured = [f["said"] for f in of(findings, "spec brainram") if f["state"] == "absent"]
    assert "metric alex2 will have no value" in unmeasured and len(unmeasured) == 6


def test_every_row_of_a_sweep_is_told_what_it_lacks():
    code, findings = ask("table1", overrides=[("data", "nsd")])
    rows = {f["name"]: [] for f in of(findings, "spec table1")}
    for finding in of(findings, "spec table1"):
        rows[finding["name"]].append(finding["said"])
    assert code == 1 and list(rows) == ["lin", "takagi", "gu", "brain-diffuser", "mindeye", "brainram"]
    assert "No exported generator is named." in rows["gu"]
    assert "Weights 'sd14' are not on this machine." in rows["takagi"]


def test_options_without_a_spec_ask_about_brainram():
    assert of(ask(overrides=[("encoder", "mlp")])[1], "spec brainram")


def test_a_folder_that_lacks_a_part_of_the_model_is_told_the_part(tmp_path):
    folder = tiny_models.stable_diffusion(tmp_path / "sd14")
    (folder / "vae/config.json").unlink()
    overrides = [("data", "nsd"), ("decoder.weights", str(folder))]
    said = [f["said"] for f in of(ask("takagi", overrides=overrides)[1], "spec takagi")]
    assert f"The model folder {folder} lacks vae/config.json." in said


def test_weights_that_are_gone_are_broken(tmp_path):
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"12345678")
    Manifest.load().add("mine", file)
    assert of(ask()[1], "weights", "mine")[0]["state"] == "ok"
    file.unlink()
    code, findings = ask()
    assert code == 1 and of(findings, "weights", "mine")[0]["mend"] == "bdk weights add mine PATH"


def test_a_configured_gallery_that_is_not_there_is_broken(tmp_path):
    (tmp_path / "galleries.toml").write_text('laion2b = "nowhere"\n')
    code, findings = ask()
    assert code == 1 and "nowhere" in of(findings, "galleries", "laion2b")[0]["said"]


def test_the_two_faiss_wheels_together_are_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_distributions", lambda starts: ["faiss-cpu", "faiss-gpu-cu12"])
    (finding,) = doctor.faiss()
    assert finding.is_needed and "overwrite each other" in finding.said
    assert finding.mend == "pip uninstall -y faiss-cpu faiss-gpu-cu12 && pip install faiss-gpu-cu12"


def test_a_wheel_is_recognised_however_its_name_is_spelled(monkeypatch):
    installed = [
        types.SimpleNamespace(metadata={"Name": name}) for name in ("faiss_cpu", "numpy", "faiss-gpu-cu12", "faissx")
    ]
    monkeypatch.setattr("importlib.metadata.distributions", lambda: installed)
    assert doctor._distributions(doctor.FAISS) == ["faiss-cpu", "faiss-gpu-cu12"]


def test_a_kernel_that_is_installed_and_cannot_be_imported_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "2.2" if name == "mamba-ssm" else "")
    monkeypatch.setattr(doctor, "_import", lambda name: (None, "ImportError: undefined symbol"))
    first = next(iter(doctor.mamba()))
    assert first.is_needed and "undefined symbol" in first.said and "--force-reinstall" in first.mend


def test_a_diffusers_that_lost_what_versatile_diffusion_needs_is_broken(monkeypatch):
    module = types.ModuleType("diffusers")
    monkeypatch.setattr(doctor, "_import", lambda name: (module, ""))
    (finding,) = doctor.diffusers()
    assert finding.is_needed and "UNet2DConditionModel is gone" in finding.said


def test_a_broken_plugin_is_told(tmp_path):
    (tmp_path / "bad.py").write_text("raise RuntimeError('no')\n")
    code, findings = ask("--plugin", str(tmp_path / "bad.py"))
    assert code == 1 and any("RuntimeError: no" in f["said"] for f in of(findings, "plugins"))


def test_a_missing_optional_package_is_a_lack_of_the_part(registry):
    from dataclasses import replace

    info = replace(registry.component("decoder", "unclip"), requires=(("no_such_package", "cpu"),))
    assert package_lacks(info) == [
        "The package 'no_such_package' is not installed. pip install \"brain-decoding-kit[cpu]\""
    ]


def test_the_table_shows_the_line_that_mends():
    ended = RUN.invoke(app, ["doctor", "gu"], obj=[("data", "nsd")])
    assert ended.exit_code == 1
    assert "MISSING  gu" in ended.stdout and "-> Export yours once" in ended.stdout


def test_an_unknown_spec_is_a_mistake_and_exits_with_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "nothing-like-it"])
    assert ended.value.code == 2 and "nothing-like-it" in capsys.readouterr().err


def test_convert_vd_writes_the_dual_form_and_notes_it(tmp_path):
    source = tiny_models.published_vd(tmp_path / "published")
    ended = RUN.invoke(app, ["weights", "convert-vd", str(source), str(tmp_path / "dual")])
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "dual/image_unet/diffusion_pytorch_model.safetensors").is_file()
    assert Manifest.load().entry("versatile-diffusion").path == tmp_path / "dual"


def test_convert_vd_needs_diffusers(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = RUN.invoke(app, ["weights", "convert-vd", str(tmp_path), str(tmp_path / "dual")])
    assert isinstance(ended.exception, MissingExtraError)
