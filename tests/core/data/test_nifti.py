"""BOLD and beta volumes with a table of events."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from bdk.data.configs import NiftiConfig
from bdk.data.nifti import Nifti
from bdk.errors import DataError

SHAPE, RUN = (3, 4, 2), 20
LABELS = (["rest"] * 2 + ["face"] * 4 + ["rest"] * 3 + ["house"] * 4 + ["rest"] * 7) * 3


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    bold = rng.normal(100, 5, (*SHAPE, 3 * RUN)) + np.linspace(0, 30, 3 * RUN)
    save(tmp_path / "bold.nii.gz", bold.astype(np.float32))
    save(tmp_path / "mask.nii.gz", (rng.random(SHAPE) < 0.7).astype(np.int16))
    rows = [f"{label} {volume // RUN}" for volume, label in enumerate(LABELS)]
    (tmp_path / "events.txt").write_text("\n".join(rows))
    return tmp_path


def save(path, volume):
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)


def load(folder, **config):
    given = {"bold": "bold.nii.gz", "mask": "mask.nii.gz", "events": "events.txt"}
    files = {key: str(folder / config.pop(key, name)) for key, name in given.items()}
    return Nifti(NiftiConfig(**files, **config)).load()


def series(folder):
    mask = nibabel.load(folder / "mask.nii.gz").get_fdata() > 0
    return nibabel.load(folder / "bold.nii.gz").get_fdata()[mask].T


def test_block_estimates_are_means_of_detrended_z_scored_volumes(folder):
    data = load(folder, lag=0)
    plain = []
    for run in range(3):
        part = series(folder)[run * RUN : (run + 1) * RUN]
        time = np.arange(RUN)
        part = part - np.stack([np.polyval(np.polyfit(time, column, 1), time) for column in part.T], axis=1)
        part = (part - part.mean(0)) / part.std(0)
        plain += [part[2:6].mean(0), part[9:13].mean(0)]
    np.testing.assert_allclose(data.betas, np.stack(plain), atol=1e-4)
    assert data.stimulus_ids == tuple(f"run-{run}/{label}" for run in range(3) for label in ("face", "house"))


def test_the_last_run_is_held_out_unless_others_are_named(folder):
    assert {data_id[:5] for data_id in ids(load(folder), "test")} == {"run-2"}
    assert {data_id[:5] for data_id in ids(load(folder, test_runs=(0, 2)), "test")} == {"run-0", "run-2"}
    assert load(folder).split_sha256 != load(folder, test_runs=(0,)).split_sha256
    with pytest.raises(DataError, match="no run 7"):
        load(folder, test_runs=(7,))


def ids(data, side):
    return [data.stimulus_ids[row] for row in data.rows(side)]


def test_the_lag_moves_the_window_and_stays_within_the_run(folder):
    data = load(folder, lag=3, detrend=False, normalise="none")
    np.testing.assert_allclose(data.betas[0], series(folder)[5:9].mean(0), rtol=1e-5)
    late = load(folder, lag=9, detrend=False, normalise="none")
    np.testing.assert_allclose(late.betas[1], series(folder)[18:20].mean(0), rtol=1e-5)


def test_trial_estimates_are_single_volumes_that_average_to_the_block(folder):
    trials, blocks = load(folder, estimate="trial"), load(folder)
    assert len(trials.betas) == 24 and trials.repeats.tolist() == [4] * 6
    np.testing.assert_allclose(trials.averaged(np.arange(6)), blocks.betas, atol=1e-5)


def test_labels_are_captions_and_groups_and_there_are_no_pictures(folder):
    data = load(folder)
    assert data.images is None and data.captions[0] == ("face",) and data.groups.tolist() == ["face", "house"] * 3
    described = Nifti(
        NiftiConfig(
            **{
                k: str(folder / v)
                for k, v in (("bold", "bold.nii.gz"), ("mask", "mask.nii.gz"), ("events", "events.txt"))
            }
        )
    ).describe()
    assert described.spaces == {"text": "label-code/text"} and not described.has_images


def test_onsets_in_seconds_give_the_same_blocks_as_a_row_per_volume(folder):
    rows = ["onset\tduration\ttrial_type\trun"]
    for run in range(3):
        rows += [f"4.0\t8.0\tface\t{run}", f"18.0\t8.0\thouse\t{run}"]
    (folder / "events.tsv").write_text("\n".join(rows))
    np.testing.assert_array_equal(load(folder, events="events.tsv", tr=2.0).betas, load(folder).betas)


def test_volumes_that_are_betas_already_are_taken_one_a_row(folder):
    save(folder / "betas.nii.gz", nibabel.load(folder / "bold.nii.gz").get_fdata()[..., :6].astype(np.float32))
    (folder / "table.csv").write_text("label,run\nface,1\nhouse,1\nrest,1\nhouse,2\nface,2\nrest,2\n")
    data = load(folder, bold="betas.nii.gz", events="table.csv", kind="betas", normalise="none")
    np.testing.assert_allclose(data.betas, series(folder)[[0, 1, 3, 4]], rtol=1e-6)


def test_a_constant_voxel_is_dropped_or_refused(folder):
    bold = nibabel.load(folder / "bold.nii.gz").get_fdata()
    voxel = np.argwhere(nibabel.load(folder / "mask.nii.gz").get_fdata() > 0)[2]
    bold[tuple(voxel)] = 5
    save(folder / "bold.nii.gz", bold)
    full = int((nibabel.load(folder / "mask.nii.gz").get_fdata() > 0).sum())
    assert load(folder).voxels == full - 1
    with pytest.raises(DataError, match="never vary"):
        load(folder, constant_voxels="refuse")


def test_captions_and_pictures_may_be_given_by_label(folder):
    from PIL import Image

    (folder / "words.toml").write_text('[captions]\nface = ["a face", "someone"]\nhouse = "a house"\n')
    (folder / "pictures").mkdir()
    for label in ("face", "house"):
        Image.new("RGB", (8, 8)).save(folder / "pictures" / f"{label}.jpg")
    data = load(folder, captions=str(folder / "words.toml"), images=str(folder / "pictures"), image_size=16)
    assert data.captions[0] == ("a face", "someone") and data.images.batch([0, 5]).shape == (2, 16, 16, 3)
    (folder / "words.toml").write_text('[captions]\nface = "a face"\n')
    with pytest.raises(DataError, match="'house' has no caption"):
        load(folder, captions=str(folder / "words.toml"))


def text(content):
    return lambda folder: (folder / "events.txt").write_text(content)


FAULTS = {
    "mask of another size": (
        lambda f: save(f / "mask.nii.gz", np.ones((3, 4, 3), np.int16)),
        "but the mask is (3, 4, 3)",
    ),
    "empty mask": (lambda f: save(f / "mask.nii.gz", -np.ones(SHAPE, np.int16)), "No voxel of mask"),
    "too few rows": (text("face 0\nhouse 0"), "2 rows, but there are 60 volumes"),
    "a short row": (text("face 0\nhouse"), "Row 2 has 1 cells"),
    "a run that is no number": (text("face a\n" * 60), "no whole number"),
    "only rest": (text("rest 0\n" * 60), "nothing but rest"),
    "an event outside its run": (text("onset,duration,trial_type\n999,2,face"), "outside its run"),
    "unequal runs": (
        text("\n".join(["onset,trial_type,run", *(f"0,a,{run}" for run in range(7))])),
        "runs of equal length",
    ),
    "bold cut short": (lambda f: (f / "bold.nii.gz").write_bytes((f / "bold.nii.gz").read_bytes()[:2000]), "cut short"),
    "not a NIfTI": (lambda f: (f / "bold.nii.gz").write_text("no"), "no readable NIfTI"),
    "a missing file": (lambda f: (f / "bold.nii.gz").unlink(), "no file for bold"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_file(folder, name):
    spoil, words = FAULTS[name]
    spoil(folder)
    with pytest.raises(DataError) as caught:
        load(folder)
    assert words in caught.value.what and caught.value.where
