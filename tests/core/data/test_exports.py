"""The two MindEye exports of NSD."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.data.configs import MindEye2Config, MindEyeConfig
from bdk.data.mindeye2_hdf5 import MindEye2Hdf5
from bdk.data.mindeye_webdataset import MindEyeWebdataset
from bdk.errors import DataError


@pytest.fixture
def wds(tmp_path):
    import mini_exports

    root = tmp_path / "webdataset_avg_split"
    truth = mini_exports.mindeye(root, np.random.default_rng(0))
    captions = np.array([[f"{k} of {n}" if k < 4 else "" for k in range(5)] for n in range(73000)])
    np.save(tmp_path / "captions.npy", captions)
    return root, truth, str(tmp_path / "captions.npy")


def test_distinct_showings_of_every_sample_are_kept_and_validation_is_training(wds):
    root, truth, captions = wds
    data = MindEyeWebdataset(MindEyeConfig(path=str(root), captions=captions, image_size=32)).load()
    assert (len(data.rows("train")), len(data.rows("test"))) == (9, 3)
    for row, name in enumerate(data.stimulus_ids):
        side, betas, trials = truth[int(name.removeprefix("nsd-"))]
        own = data.trial_stimulus == row
        assert data.split[row] == side
        np.testing.assert_array_equal(data.betas[own], betas)
        np.testing.assert_array_equal(data.trial_run[own], trials // 750 + 1)
        assert data.captions[row] == tuple(f"{k} of {int(name.removeprefix('nsd-'))}" for k in range(4))
    assert data.images.batch([0, 1]).shape == (2, 32, 32, 3)


def test_the_shards_are_unpacked_once_and_a_change_is_noticed(wds):
    root, _, _ = wds
    config = MindEyeConfig(path=str(root), image_size=32)
    MindEyeWebdataset(config).load()
    path = next((root / ".bdk").rglob("betas.npy"))
    before = path.stat().st_mtime_ns
    MindEyeWebdataset(config).load()
    assert path.stat().st_mtime_ns == before
    (root / "train/train_subj01_1.tar").unlink()
    with pytest.raises(DataError, match="other shards"):
        MindEyeWebdataset(config).load()


@pytest.mark.parametrize("blocks", [3, 11, 14])
def test_a_shard_cut_short_is_refused(wds, blocks):
    root, _, _ = wds
    path = root / "train/train_subj01_0.tar"
    path.write_bytes(path.read_bytes()[: blocks * 512])
    with pytest.raises(DataError) as caught:
        MindEyeWebdataset(MindEyeConfig(path=str(root))).load()
    assert caught.value.where == str(path)


def test_a_side_without_shards_is_refused(wds):
    root, _, _ = wds
    (root / "test/test_subj01_0.tar").unlink()
    with pytest.raises(DataError, match="test side"):
        MindEyeWebdataset(MindEyeConfig(path=str(root))).load()


def test_captions_that_would_run_code_are_refused(wds, tmp_path):
    root, _, _ = wds
    np.save(tmp_path / "objects.npy", np.array([["a"] * 5], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="without running code"):
        MindEyeWebdataset(MindEyeConfig(path=str(root), captions=str(tmp_path / "objects.npy"))).load()


@pytest.fixture
def hdf5(tmp_path):
    import mini_exports

    return tmp_path, mini_exports.mindeye2(tmp_path, np.random.default_rng(0))


def test_trials_of_the_hdf5_export_point_at_their_betas_and_pictures(hdf5):
    root, betas = hdf5
    data = MindEye2Hdf5(MindEye2Config(path=str(root), sessions=2)).load()
    np.testing.assert_array_equal(data.betas, betas)
    np.testing.assert_array_equal(data.trial_stimulus, np.arange(1500) // 2)
    assert len(data.rows("test")) == 150 and all(int(data.stimulus_ids[row][4:]) % 5 == 0 for row in data.rows("test"))
    pixels = data.images.batch([8, 3, 8])
    assert (
        pixels.shape == (3, 4, 4, 3)
        and pixels[0, 0, 0, 0] == round(1 / 8 * 255)
        and pixels[1, 0, 0, 0] == round(3 / 8 * 255)
    )
    np.testing.assert_array_equal(pixels[0], pixels[2])


def test_fewer_sessions_may_be_used(hdf5):
    root, betas = hdf5
    data = MindEye2Hdf5(MindEye2Config(path=str(root), sessions=1)).load()
    np.testing.assert_array_equal(data.betas, betas[:750])
    assert data.trial_run.max() == 1


def test_a_missing_session_of_the_hdf5_export_is_refused(hdf5):
    root, _ = hdf5
    with pytest.raises(DataError, match=r"2\.tar|shard of trials"):
        MindEye2Hdf5(MindEye2Config(path=str(root), sessions=3)).load()
