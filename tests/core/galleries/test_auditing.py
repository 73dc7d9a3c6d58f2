"""A gallery with a planted test stimulus is found out, by picture and by embedding, and the item can be left out."""

import json

import numpy as np
import pytest
from bdk.galleries import auditing
from bdk.galleries.auditing import audit_gallery, write_leave_out
from bdk.galleries.manifest import read_manifest
from bdk.galleries.writing import GalleryWriter
from bdk.registry import load
from bdk.targets import backbone

OPTIONS = {"train": 8, "test": 12}


@pytest.fixture(scope="module")
def stimuli():
    return auditing.test_pictures(load(), "demo", OPTIONS)


@pytest.fixture(autouse=True)
def _loaded_once(stimuli, monkeypatch):
    """The simulated brain is of no interest here, and slow."""
    monkeypatch.setattr(auditing, "test_pictures", lambda registry, data, options: stimuli[: options["test"]])


@pytest.fixture
def planted(tmp_path, stimuli):
    """Twenty gallery scenes and, as items 4 and 11, two test stimuli (one brightened a little)."""
    from bdk.demo.galleries import gallery_scenes
    from bdk.demo.scenes import render
    from PIL import Image

    pictures = [render(scene) for scene in gallery_scenes("laion2b", 20)]
    pictures[4] = stimuli[3]
    pictures[11] = np.clip(stimuli[7].astype(int) + 12, 0, 255).astype(np.uint8)
    root = tmp_path / "planted"
    root.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(root / f"{number}.png")
    writer = GalleryWriter(root)
    embeddings = backbone(load().space("demo-clip/image")).pooled(np.stack(pictures)).numpy()
    writer.add({"image": embeddings}, {"caption": ["x"] * 20, "path": [f"{number}.png" for number in range(20)]})
    writer.close(name="planted", key_model="demo-clip/pooled", dim=128, pictures="file")
    return root


def test_planted_stimuli_are_found_and_nothing_else(planted, tmp_path):
    found = audit_gallery(planted, "demo", OPTIONS, k=4, cache=tmp_path)
    assert {(match.test, match.other) for match in found.matches} == {(3, 4), (7, 11)}
    assert found.others == [4, 11] and (found.tests, found.searched) == (12, 20)
    exact = next(match for match in found.matches if match.other == 4)
    assert exact.bits == 0 and exact.cosine == pytest.approx(1, abs=1e-3)


def test_a_copy_is_found_by_its_embedding_when_its_picture_is_gone(planted, tmp_path):
    (planted / "4.png").unlink()
    found = audit_gallery(planted, "demo", OPTIONS, k=4, cache=tmp_path)
    assert next(match for match in found.matches if match.other == 4).bits is None


def test_what_was_found_can_be_left_out(planted, tmp_path):
    found = audit_gallery(planted, "demo", OPTIONS, k=4, cache=tmp_path)
    write_leave_out(tmp_path / "out.json", found)
    assert json.loads((tmp_path / "out.json").read_text())["ids"] == [4, 11]
    again = audit_gallery(
        planted, "demo", OPTIONS, k=4, retriever_options={"leave_out": str(tmp_path / "out.json")}, cache=tmp_path
    )
    assert again.matches == ()


def test_a_gallery_without_stimuli_is_clean(planted, tmp_path):
    assert read_manifest(planted).n == 20
    found = audit_gallery(planted, "demo", {"train": 8, "test": 4}, k=4, cache=tmp_path)
    assert {match.other for match in found.matches} == {4}
