"""The form in which all data enters the pass."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bdk.data import ArrayImages, BrainData, described, making
from bdk.data.zscore import zscored
from bdk.errors import DataError
from bdk.noise_ceiling import ncsnr

STIMULI, VOXELS = 6, 5
SHOWN = np.array([3, 0, 1, 3, 5, 0, 3, 1])


def small(**changes):
    """8 trials of 5 of 6 stimuli; stimulus 3 is shown three times, 2 and 4 never."""
    rng = np.random.default_rng(0)
    given = {
        "name": "small",
        "subject": "s1",
        "betas": rng.standard_normal((len(SHOWN), VOXELS)).astype(np.float32),
        "trial_stimulus": SHOWN.copy(),
        "trial_run": np.array([0, 0, 0, 0, 1, 1, 1, 1]),
        "stimulus_ids": tuple("abcdef"),
        "split": np.array(["train", "train", "test", "test", "train", "train"]),
        "split_name": "own",
        "images": ArrayImages(np.zeros((STIMULI, 2, 2, 3), np.uint8)),
        "captions": tuple((letter,) for letter in "abcdef"),
        "rois": {
            "left": np.array([True, True, False, False, False]),
            "right": np.array([False, False, False, True, True]),
        },
        "fingerprint": "f",
    }
    return BrainData(**{**given, **changes})


def test_rows_are_the_stimuli_of_a_side_that_were_shown():
    assert small().rows("train").tolist() == [0, 1, 5]
    assert small().rows("test").tolist() == [3]


def test_averages_are_means_over_the_trials_of_each_stimulus_in_the_order_asked():
    data = small()
    found = data.averaged(np.array([5, 3, 0]))
    plain = np.stack([data.betas[row == SHOWN].mean(0) for row in (5, 3, 0)])
    np.testing.assert_allclose(found, plain, atol=1e-7)
    assert found.dtype == np.float32


def test_averages_of_many_rows_do_not_depend_on_the_block_size(monkeypatch):
    data = small()
    whole = data.averaged(data.rows("train"))
    monkeypatch.setattr("bdk.data.brain_data.ROWS_AT_ONCE", 2)
    np.testing.assert_array_equal(data.averaged(data.rows("train")), whole)


def test_reliability_is_that_of_all_voxels_at_once_however_few_are_read_at_a_time(tmp_path, monkeypatch):
    data = small()
    monkeypatch.setattr(making, "VOXELS_AT_ONCE", 2)
    making._save_reliability(SimpleNamespace(out=tmp_path), data)
    trials, position = data.trials_of(np.array([0, 1]))  # the training stimuli that were shown twice
    np.testing.assert_array_equal(np.load(tmp_path / "ncsnr.npy"), ncsnr(data.gather(trials), position))


def test_a_region_is_averaged_alone_and_unions_are_written_with_a_plus():
    data = small()
    np.testing.assert_array_equal(data.averaged(np.array([0]), "right"), data.averaged(np.array([0]))[:, 3:])
    assert data.restricted("left+right").voxels == 4
    with pytest.raises(DataError, match="no ROI 'middle'"):
        data.averaged(np.array([0]), "middle")


def test_a_stimulus_that_was_never_shown_has_no_average():
    with pytest.raises(DataError, match="have no trial: c"):
        small().averaged(np.array([2]))


def test_repeats_are_in_the_order_shown_and_wrap_round():
    data = small()
    rows = np.array([3, 1])
    np.testing.assert_array_equal(data.repeat(rows, 0), data.betas[[0, 2]])
    np.testing.assert_array_equal(data.repeat(rows, 2), data.betas[[6, 2]])
    assert data.repeats.tolist() == [2, 2, 0, 3, 0, 1]


def test_trials_of_rows_name_their_position():
    trials, position = small().trials_of(np.array([5, 3]))
    assert trials.tolist() == [4, 0, 3, 6] and position.tolist() == [0, 1, 1, 1]


def test_averaged_data_has_one_trial_a_stimulus():
    data = small().trial_averaged()
    assert len(data.betas) == 4 and data.rows("train").tolist() == [0, 1, 5]
    np.testing.assert_array_equal(data.averaged(np.array([3])), small().averaged(np.array([3])))
    assert data.fingerprint != small().fingerprint


def test_z_scores_by_run_have_mean_0_and_deviation_1_in_each_run():
    data = small().normalised("run")
    for run in (0, 1):
        part = data.betas[data.trial_run == run]
        np.testing.assert_allclose(part.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(part.std(0), 1, atol=1e-5)


def test_z_scores_by_training_trials_do_not_change_when_test_trials_do():
    data, other = small(), small()
    other.betas[SHOWN == 3] += 100
    one, two = data.normalised("train"), other.normalised("train")
    np.testing.assert_array_equal(one.betas[SHOWN != 3], two.betas[SHOWN != 3])
    train = one.betas[SHOWN != 3]
    np.testing.assert_allclose(train.std(0, ddof=1), 1, atol=1e-5)


def test_z_scoring_streams_a_memory_map_in_place(tmp_path):
    betas = np.random.default_rng(0).standard_normal((3000, 4)).astype(np.float32)
    np.save(tmp_path / "betas.npy", betas)
    mapped = np.load(tmp_path / "betas.npy", mmap_mode="r+")
    zscored(mapped, None, np.ones(3000, bool), where="x", out=mapped)
    plain = (betas - betas.mean(0, dtype=np.float64)) / betas.std(0, ddof=1, dtype=np.float64)
    np.testing.assert_allclose(np.load(tmp_path / "betas.npy"), plain, atol=1e-5)


def test_a_voxel_that_is_constant_in_a_run_cannot_be_z_scored():
    data = small()
    data.betas[4:, 2] = 7
    with pytest.raises(DataError, match="voxel 2"):
        data.normalised("run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trial_stimulus": SHOWN[:-1]}, "betas and trial_stimulus differ: 8 and 7"),
        ({"trial_run": np.zeros(3, int)}, "betas and trial_run"),
        ({"split": np.array(["train"])}, "stimulus_ids and split"),
        ({"captions": (("a",),)}, "captions"),
        ({"groups": np.array(["x"])}, "groups"),
        ({"rois": {"left": np.ones(3, bool)}}, "ROI 'left'"),
        ({"trial_stimulus": SHOWN + 3}, "outside the stimulus table"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        small(**changes)


def test_the_hash_of_a_split_knows_its_name_and_its_sides_but_not_their_order():
    base = small().split_sha256
    assert small(split_name="other").split_sha256 != base
    assert small(split=np.roll(small().split, 1)).split_sha256 != base
    order = [2, 0, 1, 3, 5, 4]
    turned = small(stimulus_ids=tuple(np.array(list("abcdef"))[order]), split=small().split[order])
    assert turned.split_sha256 == base


def test_a_description_leaves_out_guides_that_the_data_cannot_give():
    spaces = {"image": "i", "text": "t", "low": "l"}
    assert set(described(small(), spaces).spaces) == {"image", "text", "low"}
    assert set(described(small(images=None), spaces).spaces) == {"text"}
    assert set(described(small(captions=None), spaces).spaces) == {"image", "low"}
    assert described(small(), spaces).n_train == 3
