"""BIDS derivatives: betas and events by their entities."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from bdk.data.bids import Bids
from bdk.data.configs import BidsConfig
from bdk.errors import DataError, SpecError
from PIL import Image

SHAPE = (3, 3, 2)
SHOWN = {("01", 1): ["a.png", "b.png", "c.png"], ("01", 2): ["b.png", "d.png"], ("02", 1): ["a.png", "c.png", "e.png"]}


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / "der/sub-01/anat/sub-01_space-T1w_desc-brain_mask.nii.gz", np.ones(SHAPE, np.int16))
    for (session, run), names in SHOWN.items():
        stem = f"der/sub-01/ses-{session}/func/sub-01_ses-{session}_task-look_run-{run}"
        save(tmp_path / f"{stem}_space-T1w_betas.nii.gz", rng.standard_normal((*SHAPE, len(names))).astype(np.float32))
        rows = ["onset\tduration\tstim_file\tcaption\tside"]
        rows += [
            f"{i * 4}\t3\t{n}\tthe letter {n[0]}\t{'test' if n in 'e.png' else 'train'}" for i, n in enumerate(names)
        ]
        (tmp_path / f"{stem}_events.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "stimuli").mkdir()
    for name in "abcde":
        Image.new("RGB", (9, 9)).save(tmp_path / "stimuli" / f"{name}.png")
    return tmp_path


def save(path, volume):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)


def load(root, **config):
    given = {"root": str(root / "der"), "captions_column": "caption", "split_column": "side", "normalise": "none"}
    return Bids(BidsConfig(**{**given, **config})).load()


def test_every_run_is_read_in_order_of_session_and_run(root):
    data = load(root, stimuli=str(root / "stimuli"), image_size=16)
    assert [data.stimulus_ids[row] for row in data.trial_stimulus] == [n for names in SHOWN.values() for n in names]
    assert data.trial_run.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    first = nibabel.load(next((root / "der").rglob("*ses-02*betas.nii.gz"))).get_fdata()
    np.testing.assert_allclose(data.betas[5:], first.reshape(-1, 3).T, rtol=1e-6)
    assert data.captions[0] == ("the letter a",) and data.images.batch([0]).shape == (1, 16, 16, 3)
    assert [data.stimulus_ids[row] for row in data.rows("test")] == ["e.png"]


def test_without_a_split_column_the_split_is_by_a_hash_of_the_names(root):
    one, two = load(root, split_column="", test_share=0.5), load(root, split_column="", test_share=0.5)
    assert one.split_sha256 == two.split_sha256 and 0 < len(one.rows("test")) < 5


@pytest.mark.parametrize(("how", "groups"), [("session", 2), ("run", 3)])
def test_betas_are_z_scored_by_run_or_by_session(root, how, groups):
    data = load(root, normalise=how)
    assert len(np.unique(data.trial_run)) == groups
    for group in range(groups):
        np.testing.assert_allclose(data.betas[data.trial_run == group].mean(0), 0, atol=1e-6)


def cut_events(root):
    path = next((root / "der").rglob("*ses-02*events.tsv"))
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))


FAULTS = {
    "no such participant": (None, {"subject": "sub-09"}, "no *_betas.nii.gz of sub-09"),
    "no such task": (None, {"task": "listen"}, "passes the filters"),
    "no such column": (None, {"stimulus_column": "image"}, "no column 'image'"),
    "fewer events than betas": (cut_events, {}, "2 events, but 3 beta volumes"),
    "no events": (lambda r: next(r.rglob("*ses-02*events.tsv")).unlink(), {}, "0 tables of events fit this run"),
    "two masks": (lambda r: save(r / "der/sub-01/x_mask.nii.gz", np.ones(SHAPE, np.int16)), {}, "2 masks are here"),
    "a missing picture": (lambda r: (r / "stimuli/e.png").unlink(), {"stimuli": "stimuli"}, "1 of 5 pictures"),
    "a strange side": (None, {"split_column": "caption"}, "`train` or `test` is expected"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told(root, name):
    spoil, config, words = FAULTS[name]
    if spoil:
        spoil(root)
    if "stimuli" in config:
        config = {"stimuli": str(root / "stimuli")}
    with pytest.raises(DataError) as caught:
        load(root, **config)
    assert words in caught.value.what


def test_neither_pictures_nor_captions_is_refused():
    with pytest.raises(SpecError):
        BidsConfig(root="x")
