"""Several processes train what one process trains: same chance, same negatives, same steps, up to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from bdk.artifacts import Store
from bdk.errors import SpecError
from bdk.objectives.share import ALONE, Share
from bdk.processes import AgreedError, Crew
from bdk.runs import execute, planned
from bdk.training import loop
from torch.nn import functional as F

from tests.tiny import UNPAINTED, spec

WITHIN = 1e-5


@pytest.mark.parametrize(("total", "count"), [(8, 2), (7, 3), (5, 5), (32, 4)])
def test_shares_are_every_row_once_and_as_even_as_can_be(total, count):
    rows = np.arange(total)
    parts = [Share(rank, count, total).mine(rows) for rank in range(count)]
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


DRAWS = {
    "randn": lambda rows, g: torch.randn(len(rows), 3, generator=g),
    "randn of a size": lambda rows, g: torch.randn((len(rows), 3), generator=g),
    "randint": lambda rows, g: torch.randint(0, 100, (len(rows),), generator=g),
    "randint below": lambda rows, g: torch.randint(100, (len(rows), 2), generator=g),
    "randint of a size": lambda rows, g: torch.randint(high=100, size=(len(rows),), generator=g),
    "rand": lambda rows, g: torch.rand(len(rows), generator=g),
    "randn_like": lambda rows, g: torch.randn_like(rows),
    "normal_": lambda rows, g: torch.empty_like(rows).normal_(generator=g),
    "bernoulli": lambda rows, g: torch.bernoulli(torch.full_like(rows, 0.5), generator=g),
    "dropout": lambda rows, g: F.dropout(rows, 0.4),
    "dropout layer": lambda rows, g: torch.nn.Dropout(0.4)(rows),
    "alpha dropout": lambda rows, g: F.alpha_dropout(rows, 0.4, training=True),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("count", [2, 3])
def test_what_is_drawn_for_ones_own_rows_is_ones_own_of_what_one_process_draws(name, count):
    rows = torch.arange(1.0, 22.0).view(7, 3)

    def drawn(share):
        torch.manual_seed(1)
        generator = torch.Generator().manual_seed(2)
        with share.drawing():
            twice = [DRAWS[name](share.mine(rows), generator) for _ in range(2)]
        return torch.cat([drawn.reshape(len(drawn), -1) for drawn in twice], dim=1)

    whole = drawn(ALONE)
    parts = [drawn(Share(rank, count, len(rows))) for rank in range(count)]
    assert torch.equal(torch.cat(parts), whole)


def test_what_is_drawn_for_the_whole_batch_is_the_same_on_every_process():
    share = Share(1, 2, 8)
    generator = torch.Generator().manual_seed(2)
    with share.drawing():
        found = torch.rand(8, generator=generator), torch.randperm(8, generator=generator)
    again = torch.Generator().manual_seed(2)
    assert torch.equal(found[0], torch.rand(8, generator=again))
    assert torch.equal(found[1], torch.randperm(8, generator=again))


def test_dropout_in_eval_mode_draws_nothing():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Share(0, 2, 4).drawing():
        assert torch.equal(F.dropout(torch.ones(2, 3), 0.5, training=False), torch.ones(2, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_more_processes_than_stimuli_in_a_batch_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "crew", lambda: Crew(0, 9))
    with pytest.raises(AgreedError, match="9 processes cannot share batches of 8"):
        loop.train({}, lambda *_: {}, 8, loop.TrainConfig(), seed=0, work=tmp_path)


def test_dask_and_torchrun_do_not_go_together(monkeypatch, tmp_path):
    monkeypatch.setattr("bdk.runs.crew", lambda: Crew(0, 2))
    with pytest.raises(SpecError, match="do not go together"):
        execute([spec(tmp_path)], executor="dask", overrides=UNPAINTED)


def together(tmp_path, path, store, *more, count=2):
    """``torchrun --nproc-per-node COUNT -m bdk run SPEC``."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command += ["-m", "bdk", "run", path, "--store", str(store), "--out", str(tmp_path / "together"), "--json", *more]
    for key, value in UNPAINTED:
        command += [f"--{key}", value]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)


@pytest.mark.slow
def test_two_processes_train_what_one_process_trains(tmp_path):
    path = spec(tmp_path)
    alone = execute([path], out=tmp_path / "alone", store=tmp_path / "one", overrides=UNPAINTED)
    ended = together(tmp_path, path, tmp_path / "two")
    assert ended.returncode == 0, ended.stderr
    facts = json.loads(ended.stdout)  # one process speaks
    assert (facts["made"], facts["had"]) == (len(alone.plan.steps), 0)
    other, (run,) = Store(tmp_path / "two"), alone.plan.runs
    for role in ("estimate.image", "estimate.text", "refine.image", "refine.text"):
        first, second = alone.store.need(run.keys[role], role), other.need(run.keys[role], role)
        assert set(first.recipe["files"]) == set(second.recipe["files"])
        name = "test_samples.npy" if role.startswith("estimate") else "test_refined.npy"
        np.testing.assert_allclose(second.array(name), first.array(name), atol=WITHIN, rtol=0)
        theirs = second.tensors()
        for key, value in first.tensors().items():
            torch.testing.assert_close(theirs[key], value, atol=WITHIN, rtol=0, msg=f"{role} {key}")
        for one, two in zip(first.json("losses.json"), second.json("losses.json"), strict=True):
            assert one == pytest.approx(two, abs=1e-4, rel=WITHIN)


@pytest.mark.slow
def test_a_row_that_fails_on_all_processes_leaves_the_others_standing(tmp_path):
    text = '[[variant]]\nname = "bad"\n"stage1.lr" = 1e30\n[[variant]]\nname = "good"\nfusion = "none"\nretriever = "none"\n'
    ended = together(tmp_path, spec(tmp_path, text), tmp_path / "store", "--guides", "image")
    facts = json.loads(ended.stdout)
    assert ended.returncode != 0 and list(facts["failures"]) == ["tiny/bad"]
    assert (tmp_path / "together/good/metrics.json").is_file()


@pytest.mark.slow
def test_three_processes_go_on_where_one_was_stopped(tmp_path):
    """A checkpoint of one process is taken up by three, and the result is that of one process throughout."""
    path = spec(tmp_path)
    more = [("fusion", "none"), ("retriever", "none"), ("guides", "text"), *UNPAINTED]
    alone = execute([path], out=tmp_path / "alone", store=tmp_path / "one", overrides=more)
    key = planned([path], overrides=more)[0].runs[0].keys["estimate.text"]
    stopped = "\n".join(
        [
            "import os",
            "from bdk.training import loop",
            "kept = loop._checkpoint",
            "def stop(*given):",
            "    kept(*given); os._exit(7)",
            "loop._checkpoint = stop",
            "from bdk.runs import execute",
            f"execute([{path!r}], out={str(tmp_path / 'x')!r}, store={str(tmp_path / 'three')!r}, overrides={more!r})",
        ]
    )
    assert subprocess.run([sys.executable, "-c", stopped], timeout=600).returncode == 7
    assert (tmp_path / "three/.partial" / key / "work").is_dir()
    flags = [word for name, value in more[:3] for word in (f"--{name}", value)]
    ended = together(tmp_path, path, tmp_path / "three", *flags, count=3)
    assert ended.returncode == 0, ended.stderr
    first = alone.store.need(key, "estimate").array("test_samples.npy")
    second = Store(tmp_path / "three").need(key, "estimate").array("test_samples.npy")
    np.testing.assert_allclose(second, first, atol=WITHIN, rtol=0)
