"""What is refused, with the file named; and what a kill leaves behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import h5py
import nibabel
import numpy as np
import pytest
from bdk.data.configs import PreparedConfig
from bdk.data.inspect import inspect
from bdk.data.nsd.options import Options
from bdk.data.nsd.prepare import prepare
from bdk.data.prepared import Prepared
from bdk.errors import DataError


@pytest.fixture
def broken(tree, tmp_path):
    """A copy of the tree that may be damaged; the betas are links, so replace a file, do not write into it."""
    import mini_nsd

    shutil.copytree(tree.root, tmp_path / "nsd", copy_function=_link_betas)
    return mini_nsd.MiniNsd(
        tmp_path / "nsd", tree.coco, 1, tree.masterordering, tree.subjectim, tree.volumes, tree.side
    )


def _link_betas(source, target):
    if "betas_session" in source or "nsd_stimuli" in source:
        return shutil.os.link(source, target)
    return shutil.copy(source, target)


def refused(tree, out, **options):
    with pytest.raises(DataError) as caught:
        prepare(Options(tree.root, 1, out, captions=tree.coco, images=False, **options))
    return caught.value


def replace(path, content: bytes):
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["hdf5", "nifti"])
def test_a_session_of_another_length_is_refused(broken, tmp_path, kind):
    suffix = {"hdf5": "hdf5", "nifti": "nii.gz"}[kind]
    path = broken.session(1, suffix)
    path.unlink()
    short = np.ones((5, 4, 6, 749), dtype=np.int16)
    broken_kinds = (suffix,)
    import mini_nsd

    mini_nsd.write_session(broken, 1, short, broken_kinds)
    error = refused(broken, tmp_path / "out", betas=kind)
    assert "749 trials, not 750" in error.what and error.where == str(path)


def test_a_missing_session_is_refused_before_anything_is_written(broken, tmp_path):
    for suffix in ("hdf5", "nii.gz"):
        broken.session(21, suffix).unlink()
    error = refused(broken, tmp_path / "out")
    assert "session 21" in error.what and "betas_session21.hdf5" in error.where
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["hdf5", "nii.gz"])
def test_a_session_cut_short_is_refused(broken, tmp_path, suffix):
    path = broken.session(2, suffix)
    replace(path, path.read_bytes()[: path.stat().st_size * 2 // 3])
    error = refused(broken, tmp_path / "out", betas="hdf5" if suffix == "hdf5" else "nifti")
    assert "cut short" in error.what and error.where == str(path)


def test_pictures_cut_short_are_refused_before_anything_is_written(broken, tmp_path):
    path = broken.root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    replace(path, path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match="pictures cannot be read") as caught:
        prepare(Options(broken.root, 1, tmp_path / "out", captions=broken.coco))
    assert caught.value.where == str(path) and not (tmp_path / "out").exists()


def test_betas_of_another_volume_than_the_mask_are_refused(broken, tmp_path):
    import mini_nsd

    path = broken.session(1, "hdf5")
    path.unlink()
    mini_nsd.write_session(broken, 1, np.ones((5, 4, 7, 750), dtype=np.int16), ("hdf5",))
    error = refused(broken, tmp_path / "out")
    assert "(5, 4, 6)" in error.what and error.where == str(path)


def test_float_betas_are_refused_since_their_scale_is_not_known(broken, tmp_path):
    path = broken.session(1, "hdf5")
    path.unlink()
    with h5py.File(path, "w") as file:
        file["betas"] = np.ones((750, 6, 4, 5), dtype=np.float32)
    error = refused(broken, tmp_path / "out")
    assert "float32, not int16" in error.what


def test_a_region_of_another_size_is_refused(broken, tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 4, 5), np.int16), np.eye(4)), broken.roi("streams"))
    error = refused(broken, tmp_path / "out")
    assert "streams is (5, 4, 5)" in error.what and error.where == str(broken.roi("streams"))


def test_an_empty_mask_is_refused(broken, tmp_path):
    nibabel.save(nibabel.Nifti1Image(-np.ones((5, 4, 6), np.int16), np.eye(4)), broken.roi("nsdgeneral"))
    assert "No voxel is above 0" in refused(broken, tmp_path / "out").what


def test_a_whole_brain_mask_with_another_count_than_published_is_refused(broken, tmp_path):
    volume = np.full((81, 104, 83), -1, np.int16)
    volume.reshape(-1)[:107_104] = 0
    volume.reshape(-1)[:15_000] = 1
    for name in broken.volumes:
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), broken.roi(name))
    error = refused(broken, tmp_path / "out")
    assert "15000 voxels above 0, not the published 15724" in error.what


def test_a_response_table_that_contradicts_the_design_is_refused(broken, tmp_path):
    path = broken.root / "nsddata/ppdata/subj01/behav/responses.tsv"
    lines = path.read_text().splitlines()
    lines[5], lines[6] = lines[6], lines[5]
    path.write_text("\n".join(lines))
    error = refused(broken, tmp_path / "out")
    assert "disagree with nsd_expdesign.mat" in error.what and error.where == str(path)


def test_a_design_with_other_split_sizes_is_refused(broken, tmp_path):
    import mini_nsd

    path = broken.root / "nsddata/experiments/nsd"
    shutil.rmtree(path)
    broken.masterordering = np.random.default_rng(1).permutation(broken.masterordering)
    mini_nsd._write_design(broken)
    assert "not the published 8859 + 982" in refused(broken, tmp_path / "out").what


def test_an_image_without_caption_is_refused(tree, tmp_path):
    shutil.copytree(tree.coco, tmp_path / "coco")
    path = tmp_path / "coco/captions_train2017.json"
    content = json.loads(path.read_text())
    first = content["annotations"][0]["image_id"]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != first]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"COCO {first}"):
        prepare(Options(tree.root, 1, tmp_path / "out", captions=tmp_path / "coco", images=False))


def test_a_voxel_without_data_in_a_session_is_refused_or_counted(broken, tmp_path):
    import mini_nsd

    betas = nibabel.load(broken.session(3, "nii.gz")).dataobj[...].copy()
    voxel = tuple(np.argwhere(broken.volumes["nsdgeneral"] > 0)[4])
    betas[voxel] = 0
    broken.session(3, "hdf5").unlink()
    mini_nsd.write_session(broken, 3, betas, ("hdf5",))
    error = refused(broken, tmp_path / "out")
    assert "1 voxels do not vary" in error.what and "betas_session03.hdf5" in error.where
    options = Options(broken.root, 1, tmp_path / "out", captions=broken.coco, images=False, invalid="zero")
    assert prepare(options)["voxels_at_zero_by_session"] == {"03": 1}
    data = Prepared(PreparedConfig(path=str(tmp_path / "out"))).load()
    assert (data.betas[2 * 750 : 3 * 750, 4] == 0).all() and np.isfinite(data.betas).all()


KILLED = """
import os, signal, sys
from pathlib import Path
from bdk.data.nsd.options import Options
from bdk.data.nsd.prepare import prepare
stage, at = sys.argv[4], int(sys.argv[5])
def progress(name, done, total):
    if name == stage and done >= at:
        os.kill(os.getpid(), signal.SIGKILL)
prepare(Options(Path(sys.argv[1]), 1, Path(sys.argv[2]), captions=Path(sys.argv[3])), progress)
"""


@pytest.mark.parametrize(("stage", "at"), [("sessions", 20), ("pictures", 5000), ("checksums", 2)])
def test_a_killed_preparation_goes_on_to_the_same_bytes(tree, prepared, tmp_path, stage, at):
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", KILLED, str(tree.root), str(out), str(tree.coco), stage, str(at)]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL
    with pytest.raises(DataError, match="run it again"):
        Prepared(PreparedConfig(path=str(out))).load()
    seen = []
    prepare(Options(tree.root, 1, out, captions=tree.coco), lambda name, done, total: seen.append((name, done)))
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in prepared.iterdir())
    for path in prepared.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    if stage == "pictures":
        assert min(done for name, done in seen if name == "pictures") > 5000


def test_a_finished_preparation_is_not_made_again(tree, prepared):
    before = (prepared / "betas.npy").stat().st_mtime_ns
    prepare(Options(tree.root, 1, prepared, captions=tree.coco), lambda *_: pytest.fail("work was done"))
    assert (prepared / "betas.npy").stat().st_mtime_ns == before


def test_a_folder_with_other_options_is_refused(tree, prepared):
    error = refused(tree, prepared, zscore="none")
    assert "other options" in error.what


def test_a_folder_that_holds_something_else_is_refused(tree, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    assert "not empty" in refused(tree, tmp_path).what
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_check_finds_one_flipped_bit(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    assert inspect(copy)["train"] == 8859
    content = bytearray((copy / "betas.npy").read_bytes())
    content[-1] ^= 1
    (copy / "betas.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"betas\.npy is damaged"):
        inspect(copy)


def test_a_truncated_file_is_found_on_loading(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    (copy / "betas.npy").write_bytes((copy / "betas.npy").read_bytes()[:-4])
    with pytest.raises(DataError, match="bytes, not"):
        Prepared(PreparedConfig(path=str(copy))).load()


def test_a_folder_prepared_for_another_split_or_subject_is_refused(prepared):
    for wrong in ({"split": "nsd40"}, {"subject": "subj02"}):
        with pytest.raises(DataError, match="was prepared with"):
            Prepared(PreparedConfig(path=str(prepared), **wrong)).load()
