"""NSD's official files, read plainly, against what `prepare` makes of them."""

from __future__ import annotations

import nibabel
import numpy as np
import pyarrow.parquet as pq
import pytest
from bdk.data.configs import PreparedConfig
from bdk.data.nsd.options import Options
from bdk.data.nsd.prepare import prepare
from bdk.data.prepared import Prepared

MASK_TRIALS = 37 * 750


def plain_betas(tree, sessions):
    """Percent signal change under nsdgeneral > 0, trials x V, by nibabel alone."""
    mask = nibabel.load(tree.roi("nsdgeneral")).get_fdata() > 0
    volumes = [nibabel.load(tree.session(s, "nii.gz")).get_fdata()[mask].T / 300 for s in range(1, sessions + 1)]
    return np.concatenate(volumes)


def plain_ids(tree, sessions):
    return np.array([tree.nsd_id(trial) for trial in range(sessions * 750)])


def load(folder, **config):
    return Prepared(PreparedConfig(path=str(folder), **config)).load()


@pytest.mark.parametrize("kind", ["nifti", "hdf5"])
def test_raw_betas_of_both_file_formats_equal_a_plain_reading(tree, tmp_path, kind):
    prepare(Options(tree.root, 1, tmp_path / "out", zscore="none", betas=kind, images=False))
    data = load(tmp_path / "out")
    np.testing.assert_allclose(data.betas, plain_betas(tree, 37), rtol=1e-6)
    shown = np.array([int(name.removeprefix("nsd-")) for name in data.stimulus_ids])[data.trial_stimulus]
    np.testing.assert_array_equal(shown, plain_ids(tree, 37))


def test_both_file_formats_give_the_same_bytes(tree, prepared, tmp_path):
    prepare(Options(tree.root, 1, tmp_path / "out", betas="nifti", images=False, captions=tree.coco))
    for name in ("betas.npy", "trials.parquet", "stimuli.parquet", "voxels.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (prepared / name).read_bytes(), name


def test_the_splits_have_the_published_sizes_and_hold_the_shared_images(tree, prepared, tmp_path):
    prepare(Options(tree.root, 1, tmp_path / "nsd40", split="nsd40", images=False))
    narrow, wide = load(prepared), load(tmp_path / "nsd40", split="nsd40")
    assert (len(narrow.rows("train")), len(narrow.rows("test"))) == (8859, 982)
    assert (len(wide.rows("train")), len(wide.rows("test"))) == (9000, 1000)
    assert narrow.split_sha256 != wide.split_sha256
    shared = {f"nsd-{number - 1:05d}" for number in tree.subjectim[0, :1000]}
    assert {wide.stimulus_ids[row] for row in wide.rows("test")} == shared
    assert not {narrow.stimulus_ids[row] for row in narrow.rows("train")} & shared
    assert (wide.repeats == 3).all() and narrow.repeats.min() == 1


ATLASES = {
    "streams": "early midventral midlateral midparietal ventral lateral parietal",
    "prf-visualrois": "V1v V1d V2v V2d V3v V3d hV4",
    "floc-faces": "OFA FFA-1 FFA-2 mTL-faces aTL-faces",
    "floc-places": "OPA PPA RSC",
    "floc-bodies": "EBA FBA-1 FBA-2 mTL-bodies",
    "floc-words": "OWFA VWFA-1 VWFA-2 mfs-words mTL-words",
}


def test_every_region_equals_its_label_in_the_atlas(tree, prepared):
    data, mask = load(prepared), tree.volumes["nsdgeneral"] > 0
    assert set(data.rois) == {"nsdgeneral", *" ".join(ATLASES.values()).split()}
    for atlas, names in ATLASES.items():
        for number, name in enumerate(names.split(), 1):
            np.testing.assert_array_equal(data.rois[name], tree.volumes[atlas][mask] == number)
            assert data.rois[name].any()
    assert data.rois["nsdgeneral"].all()
    voxels = pq.read_table(prepared / "voxels.parquet")
    np.testing.assert_array_equal(np.stack([voxels[axis] for axis in "xyz"], axis=1), np.argwhere(mask))


def test_minus_one_in_a_mask_is_outside(tree, prepared):
    assert (tree.volumes["nsdgeneral"] == -1).any()
    assert load(prepared).voxels == (tree.volumes["nsdgeneral"] == 1).sum()


def test_a_union_of_masks_keeps_the_voxels_of_either(tree, tmp_path):
    prepare(Options(tree.root, 1, tmp_path / "out", masks=("nsdgeneral", "streams"), images=False))
    data = load(tmp_path / "out", roi="nsdgeneral")
    whole = load(tmp_path / "out", roi="nsdgeneral+early+midventral+midlateral+midparietal+ventral+lateral+parietal")
    assert whole.voxels == ((tree.volumes["nsdgeneral"] > 0) | (tree.volumes["streams"] > 0)).sum()
    assert data.voxels == (tree.volumes["nsdgeneral"] > 0).sum()


def test_z_scoring_by_session_is_over_the_trials_of_each_session(tree, prepared):
    raw = plain_betas(tree, 37).reshape(37, 750, -1)
    plain = (raw - raw.mean(1, keepdims=True)) / raw.std(1, keepdims=True)
    np.testing.assert_allclose(load(prepared).betas, plain.reshape(MASK_TRIALS, -1), atol=2e-6)


@pytest.mark.parametrize("trials", ["single", "average"])
def test_z_scoring_by_training_rows_never_uses_a_test_row(tree, tmp_path, trials):
    prepare(Options(tree.root, 1, tmp_path / "out", zscore="train", trials=trials, images=False))
    raw, ids = plain_betas(tree, 37), plain_ids(tree, 37)
    shared = set((tree.subjectim[0, :1000] - 1).tolist())
    if trials == "average":
        names = np.unique(ids)
        raw, ids = np.stack([raw[ids == number].mean(0) for number in names]), names
    train = raw[[number not in shared for number in ids]]
    plain = (raw - train.mean(0)) / train.std(0, ddof=1)
    np.testing.assert_allclose(load(tmp_path / "out").betas, plain, atol=2e-5)


def test_averages_of_prepared_single_trials_equal_plain_means(tree, prepared):
    data = load(prepared)
    rows = data.rows("test")[:40]
    plain = np.stack([data.betas[data.trial_stimulus == row].mean(0) for row in rows])
    np.testing.assert_allclose(data.averaged(rows), plain, atol=1e-6)


def test_captions_are_those_of_the_coco_image_in_the_order_of_their_ids(prepared):
    import mini_nsd

    data = load(prepared)
    for row in (0, 17, 9840):
        number = int(data.stimulus_ids[row].removeprefix("nsd-"))
        assert data.captions[row] == tuple(mini_nsd.captions_of(number))


def test_pictures_are_those_of_the_brick(tree, prepared):
    import h5py

    data = load(prepared)
    with h5py.File(tree.root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5") as file:
        for row in (0, 63, 64, 9840):
            number = int(data.stimulus_ids[row].removeprefix("nsd-"))
            np.testing.assert_array_equal(data.images[row], file["imgBrick"][number])


def test_runs_and_repeats_follow_the_response_table(prepared):
    table = pq.read_table(prepared / "trials.parquet").to_pydict()
    assert table["run"][:3] == [1, 1, 1] and max(table["run"]) == 12
    order = np.argsort(table["stimulus"], kind="stable")
    repeats = np.array(table["repeat"])[order]
    starts = np.flatnonzero(np.diff(np.array(table["stimulus"])[order], prepend=-1))
    assert (repeats[starts] == 0).all() and repeats.max() == 2


@pytest.mark.parametrize("config", [{}, {"roi": "early+V1v"}, {"trials": "average"}])
def test_a_description_says_what_loading_gives_without_copying_betas(prepared, monkeypatch, config):
    loaded = load(prepared, **config)
    for name in ("restricted_to", "averaged", "gather"):
        monkeypatch.setattr(f"bdk.data.brain_data.BrainData.{name}", lambda *_: pytest.fail("betas were copied"))
    found = Prepared(PreparedConfig(path=str(prepared), **config)).describe()
    assert (found.voxels, found.trials) == (loaded.voxels, len(loaded.betas))
    assert found.picture_bytes == 6 * 6 * 3
    assert (found.n_train, found.n_test) == (len(loaded.rows("train")), len(loaded.rows("test")))


def test_without_a_folder_the_published_sizes_are_described():
    described = Prepared(PreparedConfig(subject="subj02")).describe()
    assert (described.voxels, described.n_train, described.n_test) == (14278, 8859, 982)
    assert described.spaces["image"] == "clip-vit-l14/image"
