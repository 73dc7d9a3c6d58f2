"""Anyone's own arrays: what is read, and how each mistake is answered."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from bdk.data.arrays import Arrays
from bdk.data.configs import ArraysConfig
from bdk.errors import DataError
from PIL import Image
from safetensors.numpy import save_file

IDS = ["cat", "dog", "cup", "car"]
TRIALS = ["dog", "cat", "cup", "dog", "car"]
TOML = {
    "name": "mine",
    "betas": "betas.npy",
    "trial_stimulus": "trials.txt",
    "trial_run": "runs.txt",
    "stimulus_ids": "ids.txt",
    "images": "pictures",
    "image_size": 16,
    "captions": "captions.json",
    "test": ["car"],
    "rois": {"front": "front.npy"},
    "groups": "groups.txt",
}


@pytest.fixture
def folder(tmp_path):
    betas = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    np.save(tmp_path / "betas.npy", betas)
    np.save(tmp_path / "front.npy", np.array([0, 2]))
    (tmp_path / "trials.txt").write_text("\n".join(TRIALS))
    (tmp_path / "runs.txt").write_text("0\n0\n0\n1\n1\n")
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    (tmp_path / "groups.txt").write_text("animal\nanimal\nthing\nthing\n")
    (tmp_path / "captions.json").write_text(json.dumps({name: [f"a {name}", f"the {name}"] for name in IDS}))
    (tmp_path / "pictures").mkdir()
    for number, name in enumerate(IDS):
        Image.new("RGB", (40, 20), (number * 60, 10, 20)).save(tmp_path / "pictures" / f"{name}.png")
    write(tmp_path, TOML)
    return tmp_path


def write(folder, content):
    lines = []
    for key, value in content.items():
        text = (
            "{ " + ", ".join(f'{k} = "{v}"' for k, v in value.items()) + " }"
            if isinstance(value, dict)
            else json.dumps(value)
        )
        lines.append(f"{key} = {text}")
    (folder / "data.toml").write_text("\n".join(lines))


def load(folder, **config):
    return Arrays(ArraysConfig(path=str(folder / "data.toml"), **config)).load()


def changed(folder, **changes):
    content = {**TOML, **changes}
    write(folder, {key: value for key, value in content.items() if value is not None})
    return folder


def test_everything_described_is_read(folder):
    data = load(folder)
    np.testing.assert_array_equal(data.betas, np.load(folder / "betas.npy"))
    assert [data.stimulus_ids[row] for row in data.trial_stimulus] == TRIALS
    assert data.split.tolist() == ["train", "train", "train", "test"]
    assert data.captions[1] == ("a dog", "the dog") and data.groups.tolist() == ["animal", "animal", "thing", "thing"]
    assert data.images.batch([3, 0]).shape == (2, 16, 16, 3) and data.images[3][0, 0].tolist() == [180, 10, 20]
    assert data.rois["front"].tolist() == [True, False, True, False]
    assert data.trial_run.tolist() == [0, 0, 0, 1, 1]


def test_the_same_arrays_give_the_same_data_from_every_file_format(folder):
    betas, first = np.load(folder / "betas.npy"), load(folder)
    np.savez(folder / "two.npz", betas=betas, other=betas[:1])
    save_file({"b": betas}, folder / "one.safetensors")
    with h5py.File(folder / "deep.h5", "w") as file:
        file["group/betas"] = betas.astype(np.float64)
        file["trials"] = TRIALS
    for source in ("two.npz:betas", "one.safetensors", "deep.h5:group/betas"):
        data = load(changed(folder, betas=source))
        np.testing.assert_array_equal(data.betas, first.betas)
    data = load(changed(folder, trial_stimulus="deep.h5:trials"))
    assert data.fingerprint == first.fingerprint


def test_whole_numbers_are_good_ids_and_the_table_may_be_left_out(folder):
    np.save(folder / "numbers.npy", np.array([10, 2, 33, 10, 2]))
    data = load(
        changed(
            folder, trial_stimulus="numbers.npy", stimulus_ids=None, images=None, captions=None, groups=None, test=[33]
        )
    )
    assert data.stimulus_ids == ("2", "10", "33") and data.rows("test").tolist() == [2]


def test_a_region_and_a_normalisation_may_be_chosen(folder):
    data = load(folder, roi="front", normalise="train")
    assert data.voxels == 2
    np.testing.assert_allclose(data.betas[:4].mean(0), 0, atol=1e-6)


def test_a_changed_file_is_read_again(folder):
    first = load(folder)
    betas = np.load(folder / "betas.npy") + 1
    (folder / "betas.npy").unlink()
    np.save(folder / "betas.npy", betas)
    assert load(folder).fingerprint != first.fingerprint


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


def spoil_nan(folder):
    betas = np.load(folder / "betas.npy")
    betas[3, 1] = np.nan
    np.save(folder / "betas.npy", betas)


def spoil_constant(folder):
    betas = np.load(folder / "betas.npy")
    betas[:, 2] = 4
    np.save(folder / "betas.npy", betas)


def spoil_toml(folder):
    (folder / "data.toml").write_text('betas = "betas.npy"\ntrial_stimulus = \n')


MISTAKES = {
    "nan": (spoil_nan, {}, "1 of the betas are NaN or infinite (the first: trial 3, voxel 1)"),
    "constant voxels": (spoil_constant, {}, "1 of 4 voxels never vary (the first is voxel 2)"),
    "malformed toml": (spoil_toml, None, "line 2"),
    "missing file": (None, {"betas": "bettas.npy"}, "no file for betas"),
    "missing key of an npz": (lambda f: np.savez(f / "b.npz", x=1), {"betas": "b.npz:betas"}, "no array 'betas'"),
    "unknown file kind": (text("b.mat", ""), {"betas": "b.mat"}, "unknown kind, '.mat'"),
    "damaged npy": (text("b.npy", "x"), {"betas": "b.npy"}, "cannot be read"),
    "one-dimensional betas": (lambda f: np.save(f / "b.npy", np.ones(5)), {"betas": "b.npy"}, "trials x voxels"),
    "unknown key": (None, {"beta": "x"}, "Unknown key 'beta'"),
    "wrong type": (None, {"image_size": "big"}, "'image_size'"),
    "too few trials": (
        text("t.txt", "dog\ncat"),
        {"trial_stimulus": "t.txt"},
        "trial_stimulus has 2 entries, but betas has 5",
    ),
    "too few runs": (text("r.txt", "0"), {"trial_run": "r.txt"}, "trial_run has 1 entries"),
    "runs that are no numbers": (text("r.txt", "a\n" * 5), {"trial_run": "r.txt"}, "no whole number"),
    "unknown ids": (
        text("t.txt", "dog\ncat\nfox\ndog\nelk"),
        {"trial_stimulus": "t.txt"},
        "2 trials show stimuli that are not in the table: elk, fox",
    ),
    "an id twice": (text("i.txt", "cat\ncat\ncup\ncar"), {"stimulus_ids": "i.txt"}, "'cat' occurs twice"),
    "unknown test id": (None, {"test": ["carr"]}, "test ids match no stimulus: carr"),
    "no test stimulus": (None, {"test": []}, "The split is to be given"),
    "split and test": (text("s.txt", "train\n" * 4), {"split": "s.txt"}, "either `split` or `test`"),
    "a strange side": (
        text("s.txt", "train\ntrain\nval\ntest"),
        {"split": "s.txt", "test": None},
        "The split says 'val'",
    ),
    "nothing to train on": (text("s.txt", "test\n" * 4), {"split": "s.txt", "test": None}, "No train stimulus"),
    "a missing picture": (lambda f: (f / "pictures/cup.png").unlink(), {}, "1 of 4 stimuli have no picture: cup"),
    "a missing caption": (text("captions.json", '{"cat": "a cat"}'), {}, "3 of 4 stimuli have no caption"),
    "a region out of range": (lambda f: np.save(f / "front.npy", np.array([0, 9])), {}, "The ROI 'front'"),
    "too few groups": (text("groups.txt", "animal"), {}, "groups has 1 entries"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place(folder, name):
    spoil, changes, words = MISTAKES[name]
    if changes is not None:
        changed(folder, **changes)
    if spoil:
        spoil(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError) as caught:
        Arrays(ArraysConfig(path=str(folder / "data.toml"))).describe()
    assert words in str(caught.value) and caught.value.where
    assert sorted(folder.rglob("*")) == before


def test_constant_voxels_may_be_dropped(folder):
    spoil_constant(folder)
    assert load(folder, constant_voxels="drop").voxels == 3


def test_a_missing_description_is_told(tmp_path):
    with pytest.raises(DataError, match=r"data\.path"):
        load(tmp_path)


def test_a_picture_that_is_none_is_told_when_it_is_read(folder):
    (folder / "pictures/cup.png").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read"):
        load(folder).images.batch([2])


def test_images_may_be_one_array_in_the_order_of_the_table(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), dtype=np.uint8)
    np.save(folder / "pixels.npy", pixels)
    np.testing.assert_array_equal(load(changed(folder, images="pixels.npy")).images.batch([2, 1]), pixels[[2, 1]])
    np.save(folder / "pixels.npy", pixels[:3])
    with pytest.raises(DataError, match="images has 3 entries"):
        load(folder)
    np.save(folder / "pixels.npy", pixels.astype(np.float32))
    with pytest.raises(DataError, match="uint8"):
        load(folder)


def test_every_named_file_is_a_source(folder):
    names = {path.name for path in Arrays(ArraysConfig(path=str(folder / "data.toml"))).sources()}
    assert {"data.toml", "betas.npy", "trials.txt", "captions.json", "front.npy", "pictures"} <= names
