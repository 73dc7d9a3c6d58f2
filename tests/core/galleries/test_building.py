"""Index builds: killed, resumed, on disk, on dask workers, all with the same bytes."""

import json
import multiprocessing
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from bdk.errors import DataError, SpecError
from bdk.galleries.blocks import Piece, build_block, sample_ids, train
from bdk.galleries.building import WORK, BuildOptions, build_gallery, in_turn, pieces_of
from bdk.galleries.gallery import Gallery, Rows
from bdk.galleries.index_plans import plan_index
from bdk.galleries.layouts import read_layout
from bdk.galleries.writing import describe_file

faiss = pytest.importorskip("faiss")
OPTIONS = BuildOptions("toy", "toy/pooled", memory=2e5, kind="ivf-sq8", on_disk=False)


def options(**changes):
    return BuildOptions(**{**OPTIONS.__dict__, **changes})


def hashes(manifest):
    return {m: [file.sha256 for file in entry.files] for m, entry in manifest.indexes.items()}


def search(root, manifest, k=10, nprobe=1000):
    gallery = Gallery(root)
    index = faiss.read_index(str(root / manifest.indexes["image"].files[0].path), faiss.IO_FLAG_ONDISK_SAME_DIR)
    faiss.extract_index_ivf(index).nprobe = nprobe
    return index.search(np.asarray(gallery.embeddings().take(np.arange(20)), dtype=np.float32), k)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("kind", ["ivf-flat", "ivf-sq8", "opq-ivf-pq"])
def test_every_kind_is_built_and_finds_each_row_itself(embeddings_folder, tmp_path, kind, on_disk):
    out = tmp_path / "gallery"
    manifest = build_gallery(embeddings_folder(), out, options(kind=kind, on_disk=on_disk))
    assert manifest.n == 2000 and manifest.indexes["image"].on_disk == on_disk
    _, ids = search(out, manifest)
    found = (ids == np.arange(20)[:, None]).any(axis=1).mean()
    assert found == 1.0 if kind != "opq-ivf-pq" else found > 0.5
    assert not (out / WORK).exists()


def test_lists_in_memory_and_on_disk_answer_alike(embeddings_folder, tmp_path):
    source = embeddings_folder()
    answers = []
    for on_disk in (False, True):
        out = tmp_path / str(on_disk)
        answers.append(search(out, build_gallery(source, out, options(on_disk=on_disk))))
    assert np.array_equal(answers[0][1], answers[1][1]) and np.array_equal(answers[0][0], answers[1][0])


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 6, 7])
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_build_killed_at_any_point_resumes_to_the_same_bytes(embeddings_folder, tmp_path, after, on_disk):
    source = embeddings_folder()
    unkilled = build_gallery(source, tmp_path / "unkilled", options(on_disk=on_disk))
    done = []

    def dying(work, arguments):
        for given in arguments:
            if len(done) == after:
                raise Killed
            done.append(work.__name__)
            yield work(*given)

    with pytest.raises(Killed):
        build_gallery(source, tmp_path / "killed", options(on_disk=on_disk), dying)
    redone = []

    def counting(work, arguments):
        redone.extend(work.__name__ for _ in arguments)
        return in_turn(work, arguments)

    resumed = build_gallery(source, tmp_path / "killed", options(on_disk=on_disk), counting)
    assert hashes(resumed) == hashes(unkilled)
    assert len(done) + len(redone) == 4 + len(_pieces(source))
    assert resumed.fingerprint() == unkilled.fingerprint()


def _pieces(source):
    layout = read_layout(source)
    entries = tuple(describe_file(source, shard.embeddings["image"], shard.rows) for shard in layout.shards)
    return pieces_of(entries, source, source, plan_index("ivf-sq8", layout.n, layout.dim), OPTIONS.memory)


def _rows_of(source):
    paths = sorted((source / "img_emb").glob("*.npy"))[:1]
    return Rows(source, tuple(describe_file(source, path, 500) for path in paths))


def _build_until_block(source, out, number):
    def dying(work, arguments):
        for given in arguments:
            if work.__name__ == "build_block" and given[0].block.endswith(f"{number:06d}.faiss"):
                os.kill(os.getpid(), 9)
            yield work(*given)

    build_gallery(source, out, OPTIONS, dying)


def test_a_build_whose_process_was_killed_resumes_to_the_same_bytes(embeddings_folder, tmp_path):
    source = embeddings_folder()
    process = multiprocessing.get_context("fork").Process(
        target=_build_until_block, args=(source, tmp_path / "killed", 2)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert sorted(path.name for path in (tmp_path / "killed" / WORK / "image").glob("block-*")) == [
        "block-000000.faiss",
        "block-000001.faiss",
    ]
    resumed = build_gallery(source, tmp_path / "killed", OPTIONS)
    assert hashes(resumed) == hashes(build_gallery(source, tmp_path / "unkilled", OPTIONS))


def test_the_order_in_which_pieces_finish_changes_nothing(embeddings_folder, tmp_path):
    source = embeddings_folder()
    backwards = build_gallery(source, tmp_path / "b", OPTIONS, lambda work, given: in_turn(work, given[::-1]))
    assert hashes(backwards) == hashes(build_gallery(source, tmp_path / "a", OPTIONS))


@pytest.mark.slow
def test_two_dask_workers_build_the_same_bytes(embeddings_folder, tmp_path):
    distributed = pytest.importorskip("distributed")
    from bdk.galleries.cluster import dask_map

    source = embeddings_folder()
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=40) as cluster,
        distributed.Client(cluster) as client,
    ):
        spread = build_gallery(source, tmp_path / "dask", OPTIONS, dask_map(client))
    assert hashes(spread) == hashes(build_gallery(source, tmp_path / "serial", OPTIONS))


def test_no_block_takes_more_than_its_share_of_memory(embeddings_folder):
    pieces = _pieces(embeddings_folder(2, 5000))
    assert sum(piece.rows for piece in pieces) == 10_000
    assert [piece.first_id for piece in pieces] == list(np.cumsum([0] + [piece.rows for piece in pieces[:-1]]))
    assert max(piece.rows for piece in pieces) * 24 <= max(OPTIONS.memory / 4, 1024 * 24)


def test_embeddings_are_used_in_place_unless_copied(embeddings_folder, tmp_path):
    source = embeddings_folder(dtype=np.float32)
    placed = build_gallery(source, tmp_path / "placed", options(kind="flat"))
    assert all(shard.path.startswith(str(source)) for shard in placed.embeddings["image"])
    copied = build_gallery(source, tmp_path / "copied", options(kind="flat", copy=True))
    assert copied.embeddings["image"][0].path == "embeddings/image/00000.npy"
    a, b = Gallery(tmp_path / "placed"), Gallery(tmp_path / "copied")
    assert b.embeddings().take(np.arange(5)).dtype == np.float16
    assert np.array_equal(a.embeddings().take(np.arange(2000)).astype(np.float16), b.embeddings().take(np.arange(2000)))
    assert a.rows([1999]) == b.rows([1999]) == [{"caption": "text 3-499", "url": "http://nowhere.test/x.png"}]


def test_both_modalities_are_indexed_when_asked(embeddings_folder, tmp_path):
    manifest = build_gallery(embeddings_folder(), tmp_path / "g", options(index=("image", "text")))
    assert set(manifest.indexes) == {"image", "text"}
    assert manifest.indexes["image"].files[0].path != manifest.indexes["text"].files[0].path


def test_a_finished_build_is_not_done_again(embeddings_folder, tmp_path):
    source = embeddings_folder()
    first = build_gallery(source, tmp_path / "g", OPTIONS)
    assert build_gallery(source, tmp_path / "g", OPTIONS, lambda work, given: pytest.fail("worked again")) == first


def test_a_folder_of_another_build_is_refused(embeddings_folder, tmp_path):
    source = embeddings_folder()
    build_gallery(source, tmp_path / "g", OPTIONS)
    with pytest.raises(DataError, match="already holds the gallery"):
        build_gallery(source, tmp_path / "g", options(seed=1))
    metadata = source / "metadata/metadata_00.parquet"
    pq.write_table(pq.read_table(metadata).append_column("more", [["x"] * 500]), metadata)
    with pytest.raises(DataError, match="already holds the gallery"):
        build_gallery(source, tmp_path / "g", OPTIONS)
    (tmp_path / "h" / WORK).mkdir(parents=True)
    (tmp_path / "h" / WORK / "build.json").write_text(json.dumps("another"))
    with pytest.raises(DataError, match="unfinished build"):
        build_gallery(source, tmp_path / "h", OPTIONS)


def test_embeddings_that_are_not_of_unit_length_are_refused_by_file(embeddings_folder, tmp_path):
    source = embeddings_folder()
    path = source / "img_emb/img_emb_02.npy"
    np.save(path, 2 * np.load(path))
    with pytest.raises(DataError, match="not of unit length") as caught:
        build_gallery(source, tmp_path / "g", OPTIONS)
    assert str(path) in caught.value.where


def test_a_large_gallery_is_sampled_in_runs_and_always_alike():
    small, large = sample_ids(50, 1000, 3), sample_ids(1000, 10_000_000, 3)
    assert len(set(small)) == 50 and np.array_equal(small, sample_ids(50, 1000, 3))
    assert len(set(large)) == 1000 and (np.diff(large) == 1).mean() > 0.9
    assert large.max() < 10_000_000


def test_a_gallery_may_do_without_its_embeddings(embeddings_folder, tmp_path):
    manifest = build_gallery(embeddings_folder(), tmp_path / "g", options(index_only=True))
    assert manifest.embeddings == {} and manifest.n == 2000 and len(Gallery(tmp_path / "g").rows([5])[0]) == 2
    for wrong in ({"kind": None}, {"kind": "flat"}, {"copy": True}):
        with pytest.raises(SpecError, match="needs an index"):
            build_gallery(
                embeddings_folder(name="other" + str(wrong)), tmp_path / "h", options(index_only=True, **wrong)
            )


def test_a_block_holds_lists_and_no_centres(embeddings_folder, tmp_path):
    source = embeddings_folder()
    piece = _pieces(source)[0]
    piece = Piece(piece.shard, piece.start, piece.rows, piece.first_id, str(tmp_path / "block"))
    train(plan_index("ivf-flat", 500, 16, 64), _rows_of(source), tmp_path / "trained", 0)
    build_block(piece, str(tmp_path / "trained"))
    assert (tmp_path / "block").stat().st_size < 500 * (64 + 8) + 64 * 16 * 4
    assert faiss.read_index(str(tmp_path / "block")).ntotal == 500
