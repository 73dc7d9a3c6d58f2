import numpy as np
import pytest
import torch
from bdk.errors import ComponentError
from bdk.galleries.gallery import Gallery
from bdk.galleries.ranking import best, check_keys, exactly, ordered, without, without_duplicates
from bdk.interfaces import Neighbours

INF = float("inf")


def found(ids, scores):
    return Neighbours(torch.tensor(ids), torch.tensor(scores))


def test_scores_are_cosines_in_double_precision(gallery_folder):
    stored = Gallery(gallery_folder()).embeddings()
    keys = torch.nn.functional.normalize(torch.randn(3, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    ids = torch.tensor([[5, 299, -1], [0, 0, 7], [-1, -1, -1]])
    scores = exactly(keys, ids, stored, 3).scores
    for b in range(3):
        for m in range(3):
            row = stored.take(np.array([max(int(ids[b, m]), 0)]))[0].astype(np.float64)
            expected = -INF if ids[b, m] < 0 else float(keys[b].double().numpy() @ row / np.linalg.norm(row))
            assert scores[b, m] == pytest.approx(expected, abs=1e-7)


def test_of_too_many_candidates_the_best_are_kept_with_their_exact_scores(gallery_folder):
    stored = Gallery(gallery_folder()).embeddings()
    keys = torch.nn.functional.normalize(torch.randn(4, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    ids = torch.stack([torch.randperm(200, generator=torch.Generator().manual_seed(row))[:40] for row in range(4)])
    ids[2, 5:] = -1
    whole, kept = ordered(*exactly(keys, ids, stored, 40)), ordered(*exactly(keys, ids, stored, 7))
    assert kept.ids.tolist() == whole.ids[:, :7].tolist()
    assert torch.equal(kept.scores, whole.scores[:, :7])


def test_order_is_by_score_then_id_with_absent_ones_last():
    kept = ordered(torch.tensor([[9, 4, -1, 2]]), torch.tensor([[0.5, 0.9, -INF, 0.5]]))
    assert kept.ids.tolist() == [[4, 2, 9, -1]]


def test_excluded_ids_leave_empty_places():
    kept = without(found([[1, 2, 3]], [[0.9, 0.8, 0.7]]), torch.tensor([[2, -1]]))
    assert kept.ids.tolist() == [[1, -1, 3]] and kept.scores[0, 1] == -INF


def test_k_is_a_contract():
    kept = best(found([[1, -1, 3]], [[0.9, -INF, 0.7]]), 5)
    assert kept.ids.tolist() == [[1, 3, -1, -1, -1]] and kept.scores[0].tolist()[2:] == [-INF] * 3
    assert best(found([[-1, 1, 3]], [[-INF, 0.9, 0.7]]), 1).ids.tolist() == [[1]]


def test_of_near_equal_items_the_best_stays(tmp_path, rows):
    from bdk.galleries.writing import GalleryWriter

    base = np.eye(4, 16, dtype=np.float32)
    near = base[0] + 0.05 * base[1]
    rows_ = np.stack([base[0], near / np.linalg.norm(near), base[1], base[2]])
    writer = GalleryWriter(tmp_path / "g")
    writer.add({"image": rows_}, {"caption": list("abcd")})
    writer.close(name="g", key_model="toy/pooled", dim=16)
    kept = without_duplicates(
        found([[1, 0, 2, -1]], [[0.9, 0.8, 0.7, -INF]]), Gallery(tmp_path / "g").embeddings(), 0.94
    )
    assert kept.ids.tolist() == [[1, -1, 2, -1]]


@pytest.mark.parametrize(
    ("keys", "k", "exclude"),
    [
        (torch.ones(2, 15), 3, None),
        (torch.ones(2, 2, 16), 3, None),
        (torch.ones(2, 16), 0, None),
        (torch.ones(2, 16), 3, torch.ones(1, 4)),
        (torch.zeros(2, 16), 3, None),
        (torch.full((2, 16), torch.nan), 3, None),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(keys, k, exclude):
    with pytest.raises(ComponentError):
        check_keys(keys, 16, k, exclude)
