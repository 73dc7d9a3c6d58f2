"""`bdk eval` on good files and on every bad one a person might hand in."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from bdk.demo.scenes import draw_scene, render
from bdk.errors import BdkError
from bdk_cli.main import app, main
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

N = 5
FAST = ["--metrics", "pixcorr"]


def pictures(seed: int, size: int = 48) -> np.ndarray:
    """N smooth pictures, uint8 N H W 3."""
    coarse = np.random.default_rng(seed).integers(0, 256, size=(N, 6, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC)) for x in coarse])


def save_folder(folder: Path, images: np.ndarray, suffix: str = "png") -> Path:
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"img{index}.{suffix}")
    return folder


@pytest.fixture
def stimuli(tmp_path) -> Path:
    return save_folder(tmp_path / "stimuli", pictures(0))


@pytest.fixture
def made(tmp_path) -> Path:
    return save_folder(tmp_path / "made", pictures(1, size=32))


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, output and error text of the command."""
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
    if isinstance(result.exception, BdkError):
        return 2, result.stdout, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def refused(out: Path, *arguments: str | Path) -> str:
    """The error text; nothing may have been written."""
    code, _, error = run(*arguments, *FAST, "--out", out)
    assert code == 2
    assert not out.exists() or not list(out.iterdir())
    return error


def test_folders_are_paired_by_name_and_give_a_table_metrics_and_a_grid(stimuli, made, tmp_path):
    code, output, _ = run(made, stimuli, *FAST, "--out", tmp_path / "out")
    assert code == 0
    assert "pixcorr" in output and "paired by name" in output and "chance" in output and "mean image" in output
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics) == {"stamps", "metrics", "baselines"}
    assert metrics["metrics"]["pixcorr"]["n"] == N and metrics["stamps"]["paired_by"] == "name"
    assert Image.open(tmp_path / "out" / "grid.png").size[0] > 100
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["grid.png", "metrics.json"]


def test_the_value_is_that_of_the_library(stimuli, made, tmp_path):
    from bdk.metrics import score_images

    code, output, _ = run(made, stimuli, *FAST, "--json")
    expected = score_images(pictures(0), pictures(1, size=32), metrics=["pixcorr"])["pixcorr"]
    assert code == 0
    assert json.loads(output)["metrics"]["pixcorr"]["value"] == pytest.approx(expected.value, abs=1e-6)


def write_array(path: Path, images: np.ndarray) -> Path:
    """Save pictures in the format that the name asks for."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    match path.suffix:
        case ".npy":
            np.save(path, images)
        case ".npz":
            np.savez(path, images=images)
        case ".safetensors":
            save_file({"images": tensor}, path)
        case ".h5":
            with h5py.File(path, "w") as file:
                file["some/images"] = images.astype(np.float32) / 255
        case ".pt":
            torch.save(tensor.float() / 255, path)
    return path


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "h5", "pt"])
def test_arrays_of_every_format_give_the_same_number_as_the_folder(stimuli, made, tmp_path, suffix):
    path = write_array(tmp_path / f"made.{suffix}", pictures(1, size=32))
    _, folder, _ = run(made, stimuli, *FAST, "--json")
    code, array, error = run(path, stimuli, *FAST, "--json")
    assert code == 0, error
    one, two = (json.loads(text)["metrics"]["pixcorr"]["value"] for text in (folder, array))
    assert one == pytest.approx(two, abs=1e-6)


def test_a_dictionary_of_tensors_needs_no_key_if_one_holds_pictures(stimuli, tmp_path):
    tensor = torch.from_numpy(pictures(1)).permute(0, 3, 1, 2)
    torch.save({"recons": tensor, "step": torch.tensor(3)}, tmp_path / "made.pt")
    assert run(tmp_path / "made.pt", stimuli, *FAST)[0] == 0
    torch.save({"recons": tensor, "blurry": tensor}, tmp_path / "two.pt")
    assert "recons, blurry" in refused(tmp_path / "out", tmp_path / "two.pt", stimuli)
    assert run(tmp_path / "two.pt", stimuli, *FAST, "--reconstructions-key", "blurry")[0] == 0


def test_several_candidates_come_as_numbered_files_folders_or_arrays(stimuli, tmp_path):
    numbered, folders = tmp_path / "numbered", tmp_path / "folders"
    numbered.mkdir()
    stacked = np.stack([pictures(1), pictures(2)], axis=1)
    for i, candidates in enumerate(stacked):
        (folders / f"img{i}").mkdir(parents=True)
        for s, image in enumerate(candidates):
            Image.fromarray(image).save(numbered / f"img{i}_{s}.png")
            Image.fromarray(image).save(folders / f"img{i}" / f"{s}.png")
    np.save(tmp_path / "made.npy", stacked)
    values = set()
    for source in (numbered, folders, tmp_path / "made.npy"):
        code, output, error = run(source, stimuli, *FAST, "--json")
        assert code == 0, error
        entry = json.loads(output)["metrics"]["pixcorr"]
        assert entry["candidates"] == 2 and entry["n"] == N
        values.add(round(entry["value"], 8))
    assert len(values) == 1


def test_pictures_of_different_sizes_and_modes_are_read(stimuli, made):
    Image.fromarray(pictures(1)[0]).resize((300, 200)).convert("L").save(made / "img0.png")
    Image.fromarray(pictures(1)[1]).convert("RGBA").save(made / "img1.png")
    Image.fromarray(pictures(1)[2]).save(made / "img2.jpg")
    (made / "img2.png").unlink()
    assert run(made, stimuli, *FAST)[0] == 0


def test_pairing_by_order_takes_names_as_a_person_counts(tmp_path):
    for folder, seed in (("a", 0), ("b", 0)):
        (tmp_path / folder).mkdir()
        for index, image in enumerate(np.concatenate([pictures(seed), pictures(9), pictures(8)])):
            Image.fromarray(image).save(tmp_path / folder / (f"{index}.png" if folder == "a" else f"x{index:03d}.png"))
    code, output, _ = run(tmp_path / "a", tmp_path / "b", *FAST, "--pair", "order", "--json")
    assert code == 0
    assert json.loads(output)["metrics"]["pixcorr"]["value"] == pytest.approx(1.0)


def test_a_missing_file_is_named(stimuli, made, tmp_path):
    (made / "img3.png").unlink()
    assert "no reconstruction of img3" in refused(tmp_path / "out", made, stimuli)


def test_a_file_too_many_is_named(stimuli, made, tmp_path):
    Image.fromarray(pictures(1)[0]).save(made / "extra.png")
    assert "no stimulus for extra" in refused(tmp_path / "out", made, stimuli)


def test_an_unreadable_file_is_named(stimuli, made, tmp_path):
    (made / "img2.png").write_bytes(b"not a picture")
    assert "img2.png" in refused(tmp_path / "out", made, stimuli)


def test_a_truncated_file_is_named(stimuli, made, tmp_path):
    whole = (made / "img4.png").read_bytes()
    (made / "img4.png").write_bytes(whole[: len(whole) // 2])
    assert "img4.png" in refused(tmp_path / "out", made, stimuli)


def test_a_truncated_jpeg_is_named(stimuli, made, tmp_path):
    Image.fromarray(pictures(1, size=200)[1]).save(made / "img1.jpg")
    (made / "img1.png").unlink()
    whole = (made / "img1.jpg").read_bytes()
    (made / "img1.jpg").write_bytes(whole[: len(whole) // 2])
    assert "img1.jpg" in refused(tmp_path / "out", made, stimuli)


def huge_png(path: Path, side: int) -> None:
    """A PNG of a few bytes whose header announces side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("side", [8_000, 12_000, 50_000])
def test_a_header_that_announces_a_huge_picture_is_refused_before_decoding(stimuli, made, tmp_path, side):
    huge_png(made / "img0.png", side)
    error = refused(tmp_path / "out", made, stimuli)
    assert "img0.png" in error and ("pixels" in error or "too large" in error)


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "h5", "pt"])
@pytest.mark.parametrize(("fault", "word"), [("bytes as floats", "0..255"), ("NaN", "NaN")])
def test_floats_of_the_wrong_scale_and_nans_are_refused_in_every_format(stimuli, tmp_path, suffix, fault, word):
    floats = pictures(1).astype(np.float32)
    if fault == "NaN":
        floats /= 255
        floats[3, 5, 5, 1] = np.nan
    path = tmp_path / f"made.{suffix}"
    tensor = torch.from_numpy(floats).permute(0, 3, 1, 2).contiguous()
    {
        "npy": lambda: np.save(path, floats),
        "npz": lambda: np.savez(path, floats),
        "safetensors": lambda: save_file({"x": tensor}, path),
        "h5": lambda: h5py.File(path, "w").create_dataset("x", data=floats).file.close(),
        "pt": lambda: torch.save(tensor, path),
    }[suffix]()
    error = refused(tmp_path / "out", path, stimuli)
    assert word in error
    assert "picture 3" in error or fault != "NaN"


class Evil:
    """What a hostile file would hold."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code from a file was run')",)


@pytest.mark.parametrize("name", ["made.pt", "made.pth"])
def test_a_pickle_disguised_as_tensors_is_refused_and_not_run(stimuli, tmp_path, name):
    import pickle

    (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    assert name in refused(tmp_path / "out", tmp_path / name, stimuli)
    torch.save({"images": Evil()}, tmp_path / name)
    assert "would run code" in refused(tmp_path / "out", tmp_path / name, stimuli)


def test_an_array_of_objects_is_refused(stimuli, tmp_path):
    np.save(tmp_path / "made.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    assert "objects" in refused(tmp_path / "out", tmp_path / "made.npy", stimuli)


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "h5", "pt"])
def test_a_damaged_array_file_is_named(stimuli, tmp_path, suffix):
    path = write_array(tmp_path / f"made.{suffix}", pictures(1))
    path.write_bytes(path.read_bytes()[:50])
    assert f"made.{suffix}" in refused(tmp_path / "out", path, stimuli)


def test_arrays_of_another_length_or_shape_are_refused(stimuli, tmp_path):
    np.save(tmp_path / "short.npy", pictures(1)[:4])
    assert "4 reconstructions and 5 stimuli" in refused(tmp_path / "out", tmp_path / "short.npy", stimuli)
    np.save(tmp_path / "flat.npy", np.zeros((5, 100), dtype=np.uint8))
    assert "(5, 100)" in refused(tmp_path / "out", tmp_path / "flat.npy", stimuli)


def test_unknown_formats_and_absent_paths_are_refused(stimuli, tmp_path):
    (tmp_path / "made.mat").write_bytes(b"x")
    assert "made.mat" in refused(tmp_path / "out", tmp_path / "made.mat", stimuli)
    assert "nowhere" in refused(tmp_path / "out", tmp_path / "nowhere", stimuli)
    (tmp_path / "empty").mkdir()
    assert "no images" in refused(tmp_path / "out", tmp_path / "empty", stimuli)


def test_an_output_path_that_is_a_file_is_refused_before_any_work(stimuli, made, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, _, error = run(made, stimuli, *FAST, "--out", tmp_path / "out")
    assert code == 2 and "is a file" in error
    assert (tmp_path / "out").read_text() == "mine"


def test_an_unknown_preset_metric_pairing_and_network_set_are_refused(stimuli, made):
    for option in (["--preset", "x"], ["--metrics", "x"], ["--pair", "x"], ["--networks", "x"]):
        code, _, error = run(made, stimuli, *option)
        assert code == 2 and "'x'" in error


def test_metrics_without_weights_are_missing_with_the_line_that_gets_them(stimuli, made, tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path / "no-weights"))
    code, output, _ = run(made, stimuli, "--metrics", "pixcorr,alex2,clip")
    assert code == 0
    assert "bdk weights fetch alexnet" in output and "bdk weights fetch clip-vit-l14" in output


def test_an_oracle_stamps_every_number(stimuli, made):
    _, output, _ = run(made, stimuli, *FAST, "--oracle", "--json")
    for entry in json.loads(output)["metrics"].values():
        assert any("oracle" in stamp for stamp in entry["stamps"])


def test_training_pictures_give_the_mean_row_its_name(stimuli, made, tmp_path):
    training = save_folder(tmp_path / "training", pictures(7, size=40), "jpg")
    _, output, _ = run(made, stimuli, *FAST, "--training", training, "--json")
    assert "mean image (training)" in json.loads(output)["baselines"]
    assert json.loads(output)["stamps"]["training"].endswith("none of 5 test stimuli among 5 pictures")


def test_a_stimulus_among_the_training_pictures_is_reported(stimuli, made, tmp_path):
    training = save_folder(tmp_path / "training", pictures(7, size=40))
    scene = Image.fromarray(render(draw_scene(3)))
    scene.save(stimuli / "img2.png")
    scene.resize((90, 90)).save(training / "again.jpg")
    code, output, _ = run(made, stimuli, *FAST, "--training", training)
    assert code == 0 and "1 of 5 test stimuli have a near-duplicate among 6 pictures" in output


def test_the_nearest_row_shows_the_training_picture_most_like_each_reconstruction(stimuli, made, tmp_path):
    near = np.concatenate([pictures(1, size=40)[::-1], pictures(7, size=40)])
    training = save_folder(tmp_path / "training", near)
    _, output, _ = run(made, stimuli, *FAST, "--training", training, "--json")
    _, direct, _ = run(save_folder(tmp_path / "direct", pictures(1, size=40)), stimuli, *FAST, "--json")
    row = json.loads(output)["baselines"]["nearest training image (to the reconstruction)"]
    assert row["pixcorr"]["value"] == pytest.approx(json.loads(direct)["metrics"]["pixcorr"]["value"], abs=1e-6)


def test_the_command_line_prints_what_where_and_how_to_mend_without_a_traceback(stimuli, made, capsys):
    (made / "img3.png").unlink()
    with pytest.raises(SystemExit) as stopped:
        main(["eval", str(made), str(stimuli)])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "Error: Reconstructions and stimuli do not match" in error and "--pair order" in error
    assert "Traceback" not in error


HEAVY = """
import re, sys
from pathlib import Path
import torch
from bdk.evaluate import evaluate, write
from bdk.metrics import FeatureNetwork, NetworkSet

# as wide as AlexNet's fifth convolution, 256 x 15 x 15, in a fraction of its time
grow = torch.nn.Upsample((60, 320))
make = lambda device: lambda images: {"features.11": grow(images)}
network = FeatureNetwork("alexnet", ("features.11",), make, (0.0,) * 3, (1.0,) * 3, weights_sha256="0" * 64)
root = Path(sys.argv[1])
found = evaluate(root / "a", root / "b", metrics=["alex5"], networks=NetworkSet({"alexnet": network}))
write(found, root / "out")
assert found.scores["alex5"].n == 982
# not getrusage: its maximum begins with the size of the process that started this one
print("peak", re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
def test_a_thousand_pictures_of_any_size_fit_in_four_gigabytes(tmp_path):
    """The peak is that of the whole process, with some pictures as large as is read. It stays far below four."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    small = pictures(0)
    Image.fromarray(small[0]).resize((6000, 6000)).save(tmp_path / "large.jpg")
    for index in range(982):
        for name in (f"a/{index}.jpg", f"b/{index}.jpg"):
            if index in (5, 600):
                (tmp_path / name).hardlink_to(tmp_path / "large.jpg")
            else:
                shade = np.random.default_rng(index).integers(0, 100, 3, np.uint8)
                Image.fromarray(small[index % N] // 2 + shade).save(tmp_path / name)
    done = subprocess.run([sys.executable, "-c", HEAVY, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout.split("peak ")[1]) < 2_500_000
