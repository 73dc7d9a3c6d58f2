"""`laion2b` and `laion400m`: real galleries by folder or configuration, the demo world's stand-ins without."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bdk.contexts import RetrieverContext
from bdk.errors import MissingExtraError, RetrieverUnavailableError
from bdk.galleries.manifest import read_manifest
from bdk.galleries.stand_ins import stand_in
from bdk_retrievers import named

NAMES = ["laion2b", "laion400m"]


@pytest.fixture
def demo(registry, tmp_path):
    spaces = {guide: registry.space(f"demo-clip/{guide}") for guide in ("image", "text")}
    return RetrieverContext(spaces, 128, "demo-clip/pooled", tmp_path / "cache", {"name": "demo", "seed": 0})


@pytest.mark.parametrize("name", NAMES)
def test_without_a_folder_and_a_world_the_user_is_told_what_to_do(build, name, monkeypatch, tmp_path):
    monkeypatch.setenv("BDK_GALLERIES", str(tmp_path / "none.toml"))
    with pytest.raises(RetrieverUnavailableError) as caught:
        build(name)
    assert "bdk index build" in caught.value.mend and "--retriever.root" in caught.value.mend


def test_a_folder_or_a_line_in_the_users_file_resolves_it(build, gallery, keys, monkeypatch, tmp_path):
    monkeypatch.setenv("BDK_GALLERIES", str(tmp_path / "galleries.toml"))
    (tmp_path / "galleries.toml").write_text('laion2b = "gallery"\n')
    by_file, by_root = build("laion2b"), build("laion400m", root=gallery)
    assert by_file.gallery.root == gallery
    assert torch.equal(by_file.search(keys(), 3).ids, by_root.search(keys(), 3).ids)
    assert by_file.config.sources() == by_root.config.sources() == [gallery]


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_is_a_gallery_in_the_same_layout_and_says_what_it_is(build, demo, name):
    retriever = build(name, demo, n=40)
    manifest = read_manifest(retriever.gallery.root)
    assert (manifest.stand_in, manifest.n, manifest.key_model, manifest.dim) == (True, 40, "demo-clip/pooled", 128)
    assert manifest.columns == ("scene", "caption", "language", "licence") and set(manifest.embeddings) == {
        "image",
        "text",
    }
    assert "stand-in" in retriever.stamps()["stand_in"] and retriever.stamps()["gallery"] == name
    languages = {row["language"] for row in retriever.gallery.rows(list(range(40)))}
    assert languages == ({"en"} if name == "laion2b" else {"en", "de", "fr", "es"})


def test_a_stand_in_is_built_once_and_the_same_everywhere(build, demo, tmp_path):
    first = build("laion2b", demo, n=30).gallery
    stamp = (first.root / "manifest.json").stat().st_mtime_ns
    again = build("laion2b", demo, n=30).gallery
    assert (again.root, (again.root / "manifest.json").stat().st_mtime_ns) == (first.root, stamp)
    other = build("laion2b", replace(demo, cache=tmp_path / "other"), n=30).gallery
    assert other.manifest.fingerprint() == first.manifest.fingerprint()
    assert np.array_equal(other.embeddings().take(np.arange(30)), first.embeddings().take(np.arange(30)))


def test_neighbours_of_a_stand_in_are_drawn_and_encoded_again(build, demo):
    from bdk.targets import backbone

    retriever = build("laion2b", demo, n=40)
    keys = torch.from_numpy(retriever.gallery.embeddings().take(np.array([3, 17])).astype(np.float32))
    found = retriever.search(keys, 4)
    assert found.ids[:, 0].tolist() == [3, 17]
    tokens, captions = retriever.fetch(found.ids, "image"), retriever.fetch(found.ids, "text")
    assert tokens.shape == (2, 4, 65, 128) and captions.shape == (2, 4, 24, 128)
    pixels = (retriever.picture(3) * 255).round().byte().permute(1, 2, 0).numpy()[None]
    assert torch.allclose(backbone(demo.spaces["image"]).embed(pixels)[0], tokens[0, 0], atol=5e-3)
    caption = retriever.describe([3])[0]["caption"]
    assert torch.allclose(backbone(demo.spaces["text"]).embed([(caption,)])[0], captions[0, 0], atol=5e-3)


def test_tokens_encoded_anew_equal_those_kept_while_the_gallery_was_embedded(build, demo, tmp_path):
    ids = torch.tensor([[1, 2]])
    kept = build("laion2b", demo, n=20)
    tokens = kept.fetch(ids, "image")
    assert kept.items.encoded == 0
    without = build("laion2b", replace(demo, cache=tmp_path / "other"), n=20, cache_gb=0)
    anew = without.fetch(ids, "image")
    assert without.items.encoded == 2 and torch.allclose(tokens, anew, atol=2e-3)


def test_no_stand_in_holds_a_stimulus(build, demo):
    from bdk.demo.scenes import draw_scene
    from bdk.demo.stimuli import all_attributes

    for name in NAMES:
        rows = build(name, demo, n=60).gallery.rows(list(range(60)))
        assert not {draw_scene(row["scene"]).attributes for row in rows} & all_attributes()


def test_a_larger_stand_in_begins_with_the_smaller_one(build, demo):
    small, large = (build("laion400m", demo, n=n).gallery for n in (20, 35))
    assert [row["scene"] for row in large.rows(list(range(20)))] == [
        row["scene"] for row in small.rows(list(range(20)))
    ]


def test_another_world_has_no_stand_in(tmp_path):
    with pytest.raises(RetrieverUnavailableError, match="no stand-in"):
        stand_in("laion2b", 10, {"name": "mars"}, tmp_path)
    with pytest.raises(RetrieverUnavailableError, match="no stand-in"):
        stand_in("laion5b", 10, {"name": "demo"}, tmp_path)


def test_a_real_gallery_wins_over_the_stand_in(build, gallery, context):
    world = replace(context, world={"name": "demo", "seed": 0})
    assert build("laion2b", world, root=gallery).gallery.root == gallery


def test_both_backends_answer_alike(build, gallery, keys):
    pytest.importorskip("faiss")
    assert "exact" in build("laion2b", root=gallery).stamps()["backend"]
    exact, faiss = (build("laion2b", root=gallery, backend=backend).search(keys(), 5) for backend in ("exact", "faiss"))
    assert torch.equal(exact.ids, faiss.ids) and torch.equal(exact.scores, faiss.scores)


def test_faiss_that_is_asked_for_and_missing_names_the_extra(build, gallery, monkeypatch):
    monkeypatch.setattr(named, "find_spec", lambda name: None)
    assert build("laion2b", root=gallery).stamps()["backend"] == "exact"
    with pytest.raises(MissingExtraError) as caught:
        build("laion2b", root=gallery, backend="faiss")
    assert "[cpu]" in caught.value.mend
