"""N-way retrieval between embeddings decoded from the brain and embeddings of the stimuli.

Directions, as defined by the words: *image retrieval* is "given the brain, find the image" (each brain embedding is
compared with every image embedding); *brain retrieval* is "given the image, find the brain". MindEye's released code
compares along the other axis of each matrix, because its cosine helper returns the transposed matrix: what it prints
as forward (image) retrieval is our brain retrieval. ``compat="mindeye"`` swaps the two names accordingly.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import gammaln

from bdk.errors import SpecError
from bdk.metrics.score import Measurement, Score
from bdk.statistics import assignment_test, share_interval, variance_parts

TIE_RULE = "a tie with a distractor is a miss"


class _Protocol(NamedTuple):
    pool: int
    draws: int | None
    seed: int
    permutations: int


def retrieval_scores(
    brain: np.ndarray,
    truth: np.ndarray,
    *,
    pool: int = 300,
    draws: int | None = 30,
    seed: int = 0,
    compat: Literal["mindeye"] | None = None,
    permutations: int = 2000,
) -> dict[str, Score]:
    """Both directions of retrieval, with intervals and a permutation test.

    Args:
        brain: N x P, decoded from the brain; array or tensor, any length per row.
        truth: N x P, of the stimuli.
        pool: candidates of each search, the right one among them; all test items if there are fewer.
        draws: random pools that are averaged, as published (30 pools of 300, without replacement inside a pool);
            None for the exact mean over all possible pools, which needs no seed.
        seed: of the pools.
        compat: ``mindeye`` swaps the names, as MindEye's code does.
        permutations: random reassignments for the test.

    Returns:
        ``image_retrieval`` and ``brain_retrieval``: top-1 accuracy 0..1, chance 1 / pool.

    Raises:
        SpecError: another ``compat``, or fewer than two stimuli.
    """
    if compat not in (None, "mindeye"):
        raise SpecError(f"There is no retrieval compat {compat!r}.", mend="Use 'mindeye', or leave it out.")
    brain, truth = _rows(brain), _rows(truth)
    if len(brain) != len(truth) or len(brain) < 2:
        raise SpecError(f"Retrieval needs two or more pairs; there are {len(brain)} and {len(truth)} embeddings.")
    protocol = _Protocol(pool, draws, seed, permutations)
    found: dict[str, Score] = {}
    directions: tuple[Literal["image", "brain"], ...] = ("image", "brain")
    for finds in directions:
        name = finds if compat is None else {"image": "brain", "brain": "image"}[finds]
        measured = retrieve(brain, truth, finds, pool=pool, draws=draws, seed=seed)
        found[f"{name}_retrieval"] = _score(f"{name}_retrieval", measured, finds, compat or "definition", protocol)
    return {name: found[name] for name in ("image_retrieval", "brain_retrieval")}


def retrieve(
    brain: np.ndarray, truth: np.ndarray, finds: Literal["image", "brain"], *, pool: int, draws: int | None, seed: int
) -> Measurement:
    """Top-1 retrieval in one direction.

    Args:
        brain: N x P.
        truth: N x P.
        finds: ``image``: each brain embedding looks for its image; ``brain``: the other way.
        pool: candidates of each search; at most N.
        draws: random pools, or None for the exact mean.
        seed: of the pools.

    Returns:
        Accuracy 0..1. ``per_stimulus`` is each query's exact chance of success over all pools of that size.
    """
    cosine = cosines(brain, truth)
    similarity = cosine if finds == "image" else cosine.T  # row = query, column = candidate
    n = len(similarity)
    pool = min(pool, n)
    fit = success_probability(rivals(similarity), n, pool)
    exact = np.diag(fit).copy()
    value = exact.mean() if draws is None or pool == n else _drawn(similarity, pool, draws, seed)
    note = "" if draws is None or pool == n else f"exact mean over all pools: {exact.mean():.4f}"
    return Measurement(float(value), exact, fit=fit.T if finds == "image" else fit, chance=1 / pool, note=note)


def rivals(similarity: np.ndarray) -> np.ndarray:
    """For every cell, how many other cells of its row are at least as large."""
    ordered = np.sort(similarity, axis=1)
    below = np.stack([np.searchsorted(row, cells, side="left") for row, cells in zip(ordered, similarity, strict=True)])
    return similarity.shape[1] - below - 1


def success_probability(rival_count: np.ndarray, n: int, pool: int) -> np.ndarray:
    """Probability that none of ``rival_count`` rivals is among ``pool - 1`` distractors drawn from ``n - 1``.

    Hypergeometric: C(n - 1 - r, pool - 1) / C(n - 1, pool - 1).
    """
    table = np.arange(n)
    left = n - 1 - table
    possible = left >= pool - 1
    safe = np.where(possible, left, pool - 1)
    logs = gammaln(safe + 1) - gammaln(safe - pool + 2) - gammaln(n) + gammaln(n - pool + 1)
    return np.where(possible, np.exp(logs), 0.0)[rival_count]


def _drawn(similarity: np.ndarray, pool: int, draws: int, seed: int) -> float:
    """Mean top-1 accuracy over random pools; every member of a pool is a query once."""
    generator = np.random.default_rng(seed)
    hits = []
    for _ in range(draws):
        chosen = generator.choice(len(similarity), size=pool, replace=False)
        part = similarity[np.ix_(chosen, chosen)]
        hits.append((rivals(part).diagonal() == 0).mean())
    return float(np.mean(hits))


def spread_of_samples(
    samples: np.ndarray, truth: np.ndarray, finds: Literal["image", "brain"], *, pool: int
) -> dict[str, float | int]:
    """How much retrieval depends on which prior sample was drawn, apart from which stimuli were shown.

    Args:
        samples: N x S x P, S estimates of each stimulus.
        truth: N x P.
        finds: direction.
        pool: candidates of each search.

    Returns:
        ``samples`` (S), ``one_sample`` (mean accuracy of a single sample's estimates) and ``sd_between_samples``
        (standard deviation of that accuracy if the samples were drawn anew, the stimuli being the same).
    """
    apart = [retrieve(one, truth, finds, pool=pool, draws=None, seed=0) for one in np.moveaxis(samples, 1, 0)]
    values = np.stack([one.per_stimulus for one in apart if one.per_stimulus is not None])
    sd = variance_parts(values[None]).score_sd
    return {"samples": len(values), "one_sample": float(values.mean()), "sd_between_samples": sd}


def _score(
    name: str, measured: Measurement, finds: Literal["image", "brain"], preset: str, protocol: _Protocol
) -> Score:
    exact, fit = measured.per_stimulus, measured.fit
    assert exact is not None and fit is not None
    interval = share_interval(exact, seed=protocol.seed)
    details = {
        "pool": min(protocol.pool, len(exact)),
        "draws": protocol.draws if protocol.pool < len(exact) else None,
        "seed": protocol.seed,
        "tie_rule": TIE_RULE,
        "given": "brain" if finds == "image" else "image",
        "finds": finds,
    }
    return Score(
        measured.value,
        interval.low,
        interval.high,
        measured.chance,
        "up",
        preset=preset,
        n=len(exact),
        per_stimulus=exact,
        preprocessing="unit length, cosine",
        unit="fraction",
        p_value=assignment_test(fit, permutations=protocol.permutations, seed=protocol.seed).p_value,
        name=name,
        note=measured.note,
        details=details,
    )


def _rows(embeddings: np.ndarray) -> np.ndarray:
    array = embeddings.detach().cpu().numpy() if hasattr(embeddings, "detach") else np.asarray(embeddings)
    return array.reshape(len(array), -1)


def cosines(a: np.ndarray, b: np.ndarray, *, block: int = 4096) -> np.ndarray:
    """Cosine of each row of ``a`` (N x P) with each of ``b`` (M x P), float64; sums over blocks of columns.

    Whole matrices in float64 would take gigabytes for CLIP's 257 tokens.
    """
    product, squares = np.zeros((len(a), len(b))), [np.zeros(len(a)), np.zeros(len(b))]
    for start in range(0, a.shape[1], block):
        x, y = (np.asarray(side[:, start : start + block], dtype=np.float64) for side in (a, b))
        product += x @ y.T
        squares[0] += np.einsum("nd,nd->n", x, x)
        squares[1] += np.einsum("nd,nd->n", y, y)
    lengths = [np.maximum(np.sqrt(square), 1e-12) for square in squares]
    return product / lengths[0][:, None] / lengths[1]
