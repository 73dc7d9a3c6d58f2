"""What finished runs left in the store, read for the report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bdk.artifacts import Artifact, Store
from bdk.plan import PlannedRun
from bdk.spec import RunSpec, Sweep
from bdk.spec.resolve import Cited

SEED_SUFFIX = re.compile(r"/seed--?\d+$")


@dataclass(frozen=True)
class Condition:
    """What two rows must share to be compared: data, subject and split."""

    data: str
    subject: str
    split_name: str
    split_sha256: str
    n: int

    def __str__(self) -> str:
        split = f"split {self.split_name} (sha256 {self.split_sha256[:12]})"
        return f"{self.data}, {self.subject}, {split}, {self.n} test stimuli"


@dataclass(frozen=True)
class Record:
    """One finished run.

    Args:
        planned: its spec and keys.
        artifacts: its steps' artifacts, by role.
    """

    planned: PlannedRun
    artifacts: Mapping[str, Artifact]

    @property
    def spec(self) -> RunSpec:
        """The resolved spec."""
        return self.planned.spec

    @cached_property
    def scores(self) -> dict[str, Any]:
        """``metrics.json``."""
        return self.artifacts["measure"].json("metrics.json")

    @cached_property
    def per_stimulus(self) -> dict[str, np.ndarray]:
        """Scores of each test stimulus, in the order of `test_rows`, by metric."""
        from safetensors.numpy import load_file

        measured = self.artifacts["measure"]
        name = "per_stimulus.safetensors"
        return load_file(measured.file(name)) if measured.has(name) else {}

    @cached_property
    def index(self) -> dict[str, Any]:
        """``index.json`` of the data."""
        return self.artifacts["data"].json("index.json")

    def measured(self, metric: str) -> np.ndarray | None:
        """Scores of each test stimulus; None if the metric has no value, or is no mean over stimuli."""
        entry = self.scores["metrics"].get(metric, {})
        return self.per_stimulus.get(metric) if entry.get("value") is not None else None

    @property
    def test_rows(self) -> list[int]:
        """Rows of the test stimuli in the stimulus table."""
        return self.index["test_rows"]

    @cached_property
    def test_ids(self) -> tuple[str, ...]:
        """Names of the test stimuli."""
        return tuple(self.index["stimulus_ids"][row] for row in self.test_rows)

    def caption(self, position: int) -> str:
        """First caption of a test stimulus; empty if there is none."""
        captions = self.index.get("captions")
        texts = captions[self.test_rows[position]] if captions else []
        return texts[0] if texts else ""

    @property
    def condition(self) -> Condition:
        """Data, subject and split."""
        index = self.index
        return Condition(
            index["name"], index["subject"], index["split_name"], index["split_sha256"], len(index["test_rows"])
        )

    def stimulus(self, position: int) -> np.ndarray | None:
        """Picture of a test stimulus, uint8 H x W x 3; None if the data has no pictures."""
        data = self.artifacts["data"]
        return np.array(data.array("images.npy")[self.test_rows[position]]) if data.has("images.npy") else None

    def reconstruction(self, position: int) -> np.ndarray | None:
        """The chosen picture of a test stimulus, uint8 H x W x 3; None if nothing was decoded."""
        decoded = self.artifacts.get("decode")
        if decoded is None:
            return None
        return np.array(decoded.array("candidates.npy")[position, int(self.chosen[position])])

    @cached_property
    def chosen(self) -> np.ndarray:
        """Which candidate was chosen for each test stimulus."""
        return np.array(self.artifacts["decode"].array("chosen.npy"))

    @property
    def is_oracle(self) -> bool:
        """Whether pictures were chosen with the stimulus itself."""
        return self.spec.decoder is not None and self.spec.select.rule == "oracle"

    def trained(self) -> Iterator[tuple[str, Artifact]]:
        """Roles and artifacts of the steps that may hold rows of losses."""
        for role, artifact in self.artifacts.items():
            if artifact.recipe["kind"] in ("estimate", "refine"):
                yield role, artifact


@dataclass(frozen=True)
class Line:
    """One row of a sweep: its replicates, or why there are none.

    Args:
        name: as in the spec.
        label: for people.
        records: finished replicates, one a seed.
        failures: why the others are not there, by seed.
        reported: the paper's numbers, as printed there.
        ours: whether the paper has no such row.
        note: the spec's remark.
        columns: the spec's own columns.
        is_cited: whether it is only cited.
    """

    name: str
    label: str
    records: tuple[Record, ...] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
    ours: bool = False
    note: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    is_cited: bool = False

    @property
    def is_oracle(self) -> bool:
        """Whether its pictures were chosen with the stimulus itself."""
        return any(record.is_oracle for record in self.records)


def row_name(spec: RunSpec) -> str:
    """Name of the row a run belongs to: its own without the seed."""
    return SEED_SUFFIX.sub("", spec.name)


def read_record(run: PlannedRun, store: Store) -> Record | None:
    """A run's artifacts; None if it is not finished."""
    artifacts = {role: store.get(key) for role, key in run.keys.items()}
    found = {role: artifact for role, artifact in artifacts.items() if artifact is not None}
    return Record(run, found) if len(found) == len(artifacts) else None


def read_lines(
    runs: tuple[PlannedRun, ...], sweep: Sweep, store: Store, failures: Mapping[str, str] | None = None
) -> list[Line]:
    """Rows of a sweep in the order of its spec.

    Args:
        runs: the sweep's planned runs.
        sweep: names the order and the cited rows.
        store: where the artifacts are.
        failures: why runs failed, by name; one that is neither there nor finished is said to be unfinished.
    """
    members: dict[str, list[PlannedRun]] = {}
    for run in runs:
        members.setdefault(row_name(run.spec), []).append(run)
    cited = {row.name: row for row in sweep.cited}
    order = [*dict.fromkeys([*sweep.order, *members, *cited])]
    return [
        _cited(cited[name]) if name in cited else _line(members[name], store, failures or {})
        for name in order
        if name in cited or name in members
    ]


def _cited(row: Cited) -> Line:
    return Line(row.name, row.label, reported=row.reported, note=row.note, columns=row.columns, is_cited=True)


def _line(runs: list[PlannedRun], store: Store, failures: Mapping[str, str]) -> Line:
    records, faults = [], {}
    for run in runs:
        record = None if run.spec.name in failures else read_record(run, store)
        if record is None:
            faults[run.spec.seed] = failures.get(run.spec.name, "not finished: its steps are not all in the store")
        else:
            records.append(record)
    return _of_spec(runs[0].spec, tuple(records), faults)


def single_line(record: Record) -> Line:
    """One run as a row."""
    return _of_spec(record.spec, (record,), {})


def _of_spec(spec: RunSpec, records: tuple[Record, ...], failures: Mapping[int, str]) -> Line:
    return Line(row_name(spec), spec.label, records, failures, spec.reported, spec.ours, spec.note, spec.columns)
