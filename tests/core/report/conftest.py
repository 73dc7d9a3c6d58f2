"""A bench of made-up results: small artifacts of every kind, written through the real store."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bdk.artifacts import Store
from bdk.canonical import digest
from bdk.components import ComponentInfo, Config, DatasetInfo, MetricInfo
from bdk.plan import Plan, PlannedRun
from bdk.registry import Registry
from bdk.spaces import Space
from bdk.spec import GuideSpec, Measure, Part, RunSpec, Select, Sweep
from bdk.spec.resolve import Cited
from bdk.training.configs import Stage1, Stage2
from safetensors.numpy import save_file

SIDE = 16
ORACLE = "oracle selection: chosen with the stimulus itself"
STAMP = "synthetic demo world; galleries are stand-ins, not LAION"
METRICS = {
    "pixcorr": ("PixCorr", "up", "corr", 0.0, "low"),
    "clip": ("CLIP", "up", "fraction", 0.5, "high"),
    "eff": ("Eff", "down", "correlation_distance", 1.0, "high"),
    "image_retrieval": ("Image", "up", "fraction", 1 / 12, "retrieval"),
}
BIBTEX = """@inproceedings{brainram,
  title={{BrainRAM}: A {Decoder}}, author={Doe, Ann and Roe, Ben and Poe, Cy}, booktitle={ACM MM}, year=2024,
  doi={10.1145/3664647.3681296}
}"""


class Options(Config):
    """Options of a part that only stands in a spec."""

    depth: int = 4
    """Depth."""
    root: str | None = None
    """An option without a value."""


def registry() -> Registry:
    """What the bench has installed."""
    found = Registry(citations={"brainram": BIBTEX})
    for name, (label, direction, unit, _, level) in METRICS.items():
        found.metrics[name] = MetricInfo(name, label, "none:None", direction, level, unit, "")  # type: ignore[arg-type]
    found.datasets["demo"] = DatasetInfo("demo", "none:None", "none:None", "", distribution="brain-decoding-kit 0.1")
    for family, name in (("encoder", "mamba"), ("fusion", "ram"), ("retriever", "laion2b"), ("decoder", "demo")):
        found.components[family, name] = ComponentInfo(
            family, name, "none:None", "none:None", "", distribution="brain-decoding-kit 0.1"  # type: ignore[arg-type]
        )  # fmt: skip
    return found


@dataclass
class Bench:
    """Builds plans whose results are already in the store.

    Args:
        store: where the artifacts go.
        n: test stimuli.
        stimulus: gives picture i of the stimuli.
        caption: gives its caption.
    """

    store: Store
    n: int = 12
    stimulus: Callable[[int], np.ndarray] = field(default=lambda i: _flat(i))
    caption: Callable[[int], str] = field(default=lambda i: f"a red <ball> number {i}")
    runs: list[PlannedRun] = field(default_factory=list)
    cited: list[Cited] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    registry: Registry = field(default_factory=registry)
    name: str = "table4"

    def put(self, kind: str, options: Mapping[str, Any], write: Callable[[Path], None], guide: str = "") -> str:
        """Put an artifact into the store; its key depends on kind and options."""
        recipe = {
            "kind": kind,
            "options": dict(options),
            "inputs": {},
            "label": f"{kind} {guide}".strip(),
            "guide": guide,
        }
        key = digest(recipe)
        self.store.make(key, recipe, lambda out, work: write(out))
        return key

    def data(self, split: str = "shared", pictures: bool = True) -> str:
        """A data step: three training stimuli, then the test stimuli."""
        total = 3 + self.n
        index = {
            "name": "demo", "subject": "subj01", "split_name": split, "split_sha256": digest([split, self.n]),
            "stimulus_ids": [f"scene-{i:03d}" for i in range(total)],
            "split": ["train"] * 3 + ["test"] * self.n, "train_rows": [0, 1, 2], "test_rows": list(range(3, total)),
            "captions": [[self.caption(i)] for i in range(total)], "stamps": {"data": STAMP}, "world": {},
            "groups": None, "fingerprint": "f00d",
        }  # fmt: skip

        def write(out: Path) -> None:
            (out / "index.json").write_text(json.dumps(index))
            if pictures:
                np.save(out / "images.npy", np.stack([self.stimulus(i) for i in range(total)]))

        return self.put("data", {"split": split, "n": self.n, "pictures": pictures}, write)

    def trained(self, kind: str, options: Mapping[str, Any], guide: str, losses: Sequence[float] = ()) -> str:
        """An estimate or refine step with some losses."""
        rows = [{"step": i, "lr": 1e-3, "loss": float(loss)} for i, loss in enumerate(losses)]
        return self.put(kind, options, lambda out: (out / "losses.json").write_text(json.dumps(rows)) and None, guide)

    def retrieved(self, options: Mapping[str, Any], guide: str, thumbs: bool = True) -> str:
        """A retrieve step: four neighbours of two samples; the last stimulus found only two."""
        ids = (np.arange(self.n * 2 * 4).reshape(self.n, 2, 4) % 7).astype(np.int64)
        scores = np.broadcast_to(np.array([0.9, 0.8, 0.7, 0.6], np.float32), ids.shape).copy()
        ids[0, :, 2:], scores[0, :, 2:] = -1, -np.inf
        stamps = {"gallery": "laion2b", "gallery_items": 7, "stand_in": "stand-in drawn by the demo world, not LAION"}
        items = {str(i): {"id": i, "caption": f"neighbour {i}"} for i in range(7)}

        def write(out: Path) -> None:
            np.save(out / "test_ids.npy", ids)
            np.save(out / "test_scores.npy", scores)
            (out / "about.json").write_text(json.dumps({"stamps": stamps, "items": items}))
            if thumbs:
                np.save(out / "thumbs.npy", np.stack([_flat(40 + i) for i in range(6)]))
                np.save(out / "thumb_ids.npy", np.arange(6))

        return self.put("retrieve", {"retriever": {"use": "laion2b"}, **options}, write, guide)

    def decoded(self, options: Mapping[str, Any], paint: Callable[[int, int], np.ndarray], oracle: bool) -> str:
        """A decode step of two candidates; candidate 1 is chosen for odd stimuli."""
        about = {"stamps": {"selection": ORACLE} if oracle else {}}

        def write(out: Path) -> None:
            np.save(out / "candidates.npy", np.stack([[paint(i, c) for c in range(2)] for i in range(self.n)]))
            np.save(out / "chosen.npy", np.arange(self.n) % 2)
            (out / "about.json").write_text(json.dumps(about))

        return self.put("decode", options, write)

    def measured(
        self, options: Mapping[str, Any], numbers: Mapping[str, np.ndarray], entries: Mapping[str, Any], oracle: bool
    ) -> str:
        """A measure step: per-stimulus numbers, their means, and baselines."""
        stamps = {
            "data": STAMP, "space image": "tiny CLIP (demo world)", "split": "shared (f00d)",
            "retrieve.image gallery_items": 7, "retrieve.image stand_in": "stand-in drawn by the demo world, not LAION",
            "audit training stimuli": "training stimuli: none of 12 found",
        } | ({"selection": ORACLE} if oracle else {})  # fmt: skip
        metrics = {name: _entry(name, values) for name, values in numbers.items()} | dict(entries)
        baselines = {
            "chance": {name: {"value": METRICS[name][3]} for name in numbers},
            "mean image": {name: {"value": METRICS[name][3] + 0.05} for name in numbers},
            "nearest training image": {name: {"value": METRICS[name][3] + 0.1} for name in numbers},
        }
        facts = {"voxels_p10": 0.07, "voxels_median": 0.24, "voxels_p90": 0.61, "n_repeats": 3.0, "retrieval": 0.9}
        audits = [{"where": "training stimuli", "matches": [], "summary": "training stimuli: none of 12 found"}]
        whole = {"stamps": stamps, "metrics": metrics, "baselines": baselines, "ceiling": facts, "audits": audits}

        def write(out: Path) -> None:
            (out / "metrics.json").write_text(json.dumps(whole))
            save_file({name: np.asarray(values, np.float64) for name, values in numbers.items()},
                      out / "per_stimulus.safetensors")  # fmt: skip

        return self.put("measure", options, write)

    def row(
        self,
        name: str,
        numbers: Mapping[str, np.ndarray] | Sequence[Mapping[str, np.ndarray]],
        *,
        label: str = "",
        finished: bool = True,
        oracle: bool = False,
        split: str = "shared",
        pictures: bool = True,
        entries: Mapping[str, Any] | None = None,
        losses: Sequence[float] = tuple(np.geomspace(9, 0.5, 40)),
        paint: Callable[[int, int], np.ndarray] | None = None,
        **about: Any,
    ) -> None:
        """Add a row; a list of numbers gives one seed each."""
        seeds = [numbers] if isinstance(numbers, Mapping) else list(numbers)
        self.order.append(name)
        for seed, values in enumerate(seeds, 1):
            spec = self.spec(f"{name}/seed-{seed}" if len(seeds) > 1 else name, label or name, seed, oracle, about)
            options = {"row": name, "seed": seed}
            keys = {"data": self.data(split, pictures)}
            keys["estimate.image"] = self.trained("estimate", {"seed": seed}, "image", losses)
            keys["retrieve.image"] = self.retrieved({"seed": seed}, "image")
            keys["refine.image"] = self.trained("refine", options, "image", losses)
            if pictures:
                keys["decode"] = self.decoded(options, paint or (lambda i, c: _flat(i + 7 * c)), oracle)
            keys["measure"] = self.measured(options, values, entries or {}, oracle) if finished else "0" * 64
            space = Space("demo-clip/image", 65, 128, "image", stamp="tiny CLIP (demo world)")
            self.runs.append(PlannedRun(spec, keys, {"image": space}))

    def spec(self, name: str, label: str, seed: int, oracle: bool, about: Mapping[str, Any]) -> RunSpec:
        """The resolved spec of one run."""
        part = {family: Part(family, use, Options()) for family, use in
                (("encoder", "mamba"), ("retriever", "laion2b"), ("fusion", "ram"), ("decoder", "demo"))}  # fmt: skip
        guide = GuideSpec("image", part["encoder"], None, part["retriever"], part["fusion"], Stage1(), Stage2())
        return RunSpec(
            name, self.name, label, seed, Part("data", "demo", Options()), (guide,), part["decoder"],
            Select(rule="oracle" if oracle else "brain"), Measure(), cite=("brainram",), **about,
        )  # fmt: skip

    def cite(self, name: str, reported: Mapping[str, float], label: str = "") -> None:
        """Add a row of the literature."""
        self.order.append(name)
        self.cited.append(Cited(name, label or name, reported))

    def plan(self, **about: Any) -> tuple[Plan, Sweep]:
        """The plan and its sweep."""
        specs = tuple(run.spec for run in self.runs)
        about = {"caption": "Fusion methods", "is_sweep": True, **about}
        sweep = Sweep(self.name, specs, tuple(self.cited), tuple(self.order), **about)
        return Plan((sweep,), tuple(self.runs), {}), sweep


def _flat(i: int) -> np.ndarray:
    """A picture of one colour with a darker corner, different for every i."""
    picture = np.full((SIDE, SIDE, 3), ((37 * i) % 256, (91 * i) % 256, (53 * i) % 256), np.uint8)
    picture[: SIDE // 2, : SIDE // 2] //= 2
    return picture


def _entry(name: str, values: np.ndarray) -> dict[str, Any]:
    _, direction, unit, chance, level = METRICS[name]
    value = float(np.mean(values))
    entry = {
        "value": value, "low": value - 0.02, "high": value + 0.02, "chance": chance, "direction": direction,
        "unit": unit, "preset": "mindeye", "network": "" if name == "pixcorr" else f"{name}-net", "n": len(values),
    }  # fmt: skip
    if level == "retrieval":
        entry |= {
            "preset": "definition",
            "network": "image guide, refined",
            "pool": 12,
            "ceiling": 0.9,
            "of_attainable": 0.5,
        }
    return entry


def numbers(n: int, clip: float, seed: int = 0, noise: float = 0.05) -> dict[str, np.ndarray]:
    """Per-stimulus scores whose CLIP is about the one given, and the others follow it."""
    generator = np.random.default_rng([seed, int(1000 * clip)])
    base = np.random.default_rng(5).normal(0, 0.05, n)
    shift = base + generator.normal(0, noise, n)
    return {"pixcorr": clip - 0.5 + shift, "clip": clip + shift, "eff": 1.4 - clip - shift}


@pytest.fixture(scope="session")
def make_bench() -> Callable[[Path], Bench]:
    """Makes an empty bench in a folder."""
    return lambda folder: Bench(Store(folder / "store"))


@pytest.fixture
def bench(make_bench: Callable[[Path], Bench], tmp_path: Path) -> Bench:
    """An empty bench."""
    return make_bench(tmp_path)


@pytest.fixture(scope="session")
def scores() -> Callable[..., dict[str, np.ndarray]]:
    """`numbers`, for tests."""
    return numbers
