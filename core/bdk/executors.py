"""A plan's steps on many machines: dask.distributed does the scheduling, the store keeps the results.

What travels is a step's description and, back, how it ended. A dead worker costs the step it was at; a dead driver
costs nothing that was finished, because finished means written to the store. The store must be on a file system that
all workers see.
"""

from __future__ import annotations

import importlib
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from bdk import registry as registries
from bdk.artifacts import Store
from bdk.errors import BdkError, MissingExtraError, PlanError, SpecError
from bdk.making import Tell
from bdk.pipeline import Outcome, make_step, record_done, record_failure
from bdk.plan import Plan, Step
from bdk.registry import Registry

CLUSTERS = "clusters.toml"
TOPIC = "bdk-progress"
EVERY = 1.0
"""Seconds between two events that a worker sends from inside a step."""


@dataclass(frozen=True)
class Ended:
    """What a worker reports of a step."""

    key: str
    made: bool = False
    seconds: float = 0.0
    error: BdkError | None = None
    blocked_by: str = ""


def run_dask(
    plan: Plan,
    store: Store,
    registry: Registry,
    tell: Tell,
    *,
    keep_going: bool = True,
    cluster: str = "local:2",
    plugins: Sequence[str] = (),
) -> Outcome:
    """Make every step of a plan on a dask cluster.

    Args:
        plan: what to make.
        store: where artifacts go; workers open the same path.
        registry: what is installed here; workers load their own.
        tell: takes progress events; of what happens inside a step, workers send one every `EVERY` seconds.
        keep_going: whether other rows go on when a step fails.
        cluster: ``local:N``, a scheduler's address, or a table of the user's ``clusters.toml``.
        plugins: unpackaged plugins, which workers load as well; files must be where workers see them.

    Raises:
        BdkError: a step failed and ``keep_going`` is off, or the cluster cannot be had, or none of its workers is large
            enough for a step.
    """
    outcome = Outcome()
    tell({"event": "plan", "total": len(plan.steps)})
    with _client(cluster) as client:
        from distributed import as_completed

        client.subscribe_topic(TOPIC, lambda event: tell(event[1]))
        asked = _asked(plan, registry, store, _offered(client))
        also = tuple(str(Path(name).resolve()) if Path(name).is_file() else name for name in plugins)
        futures: dict[str, Any] = {}
        for step in plan.steps.values():
            inputs = [futures[key] for key in step.inputs.values()]
            futures[step.key] = client.submit(
                work, step, str(store.root.resolve()), inputs, also, key=step.key, resources=asked[step.key]
            )
        for future in as_completed(list(futures.values())):
            _record(outcome, plan.steps[future.key], future, tell)
            if outcome.failed and not keep_going:
                client.cancel(list(futures.values()))
                raise next(iter(outcome.failed.values()))
    return outcome


def _offered(client: Any) -> dict[str, float]:
    """The most that any worker offers of each resource (``dask worker --resources "GPU=1 MEMORY=64e9"``)."""
    offers: dict[str, float] = {}
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        for name, amount in worker["resources"].items():
            offers[name] = max(amount, offers.get(name, 0.0))
    return offers


def _asked(
    plan: Plan, registry: Registry, store: Store, offers: Mapping[str, float]
) -> dict[str, dict[str, float] | None]:
    """What each step needs of the resources that this cluster speaks of; nothing for a step that is there already.

    Raises:
        PlanError: a step needs more memory than any worker offers, and would wait for ever.
    """
    sizes: Mapping[str, Mapping[str, Any]] = {}
    if "MEMORY" in offers:
        from bdk.sizes import sizes_of

        sizes = sizes_of(plan, registry, store)
    found: dict[str, dict[str, float] | None] = {}
    for key, step in plan.steps.items():
        needs: dict[str, float] = {"GPU": 1} if "GPU" in offers and "gpu" in step.needs else {}
        if memory := sizes.get(key, {}).get("memory_bytes", 0):
            needs["MEMORY"] = memory
        found[key] = needs if needs and key not in store else None
        if found[key] and memory > offers.get("MEMORY", memory):
            raise PlanError(
                f"Step {step.label} needs about {memory / 1e9:.1f} GB, and no worker offers more than "
                f"{offers['MEMORY'] / 1e9:.1f} GB.",
                where="--cluster",
                mend='Start larger workers (dask worker --resources "MEMORY=64e9"), or make the step smaller.',
            )
    return found


def work(step: Step, root: str, inputs: list[Ended], plugins: Sequence[str] = ()) -> Ended:
    """On a worker: make one step, unless one of its inputs failed."""
    for ended in inputs:
        if ended.error is not None or ended.blocked_by:
            return Ended(step.key, blocked_by=ended.key)
    tell = _teller()
    tell({"event": "start", "key": step.key, "label": step.label})
    try:
        artifact, made = make_step(step, Store(root), registries.load(plugins), tell)
    except BdkError as error:
        return Ended(step.key, error=error)
    return Ended(step.key, made, artifact.recipe.get("seconds", 0.0))


def _teller() -> Tell:
    """Sends a worker's events to the command; of what happens inside a step, one every `EVERY` seconds."""
    from distributed import get_worker

    worker, last = get_worker(), 0.0

    def tell(event: Mapping[str, Any]) -> None:
        nonlocal last
        if event["event"] != "start":
            if time.monotonic() - last < EVERY:
                return
            last = time.monotonic()
        worker.log_event(TOPIC, dict(event))

    return tell


def _record(outcome: Outcome, step: Step, future: Any, tell: Tell) -> None:
    if future.status != "finished":
        cause = future.exception() if future.status == "error" else "cancelled"
        error = BdkError(
            f"Step {step.label} was lost with its workers: {cause}",
            where="the cluster",
            mend="Look at the workers' logs (often: out of memory), then run the same command again.",
        )
        record_failure(outcome, step, error, tell)
        return
    ended: Ended = future.result()
    if ended.error is not None:
        record_failure(outcome, step, ended.error, tell)
    elif ended.blocked_by:
        outcome.skipped[step.key] = ended.blocked_by
        tell({"event": "skipped", "key": step.key, "label": step.label})
    else:
        record_done(outcome, step, ended.made, ended.seconds, tell)


@contextmanager
def _client(cluster: str) -> Iterator[Any]:
    """A client of the cluster that was asked for; what was started here is stopped again."""
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            "The dask executor needs dask.distributed.", mend='pip install "brain-decoding-kit[cluster]"'
        ) from error
    if "://" in cluster:
        with distributed.Client(cluster) as client:
            yield client
        return
    with _cluster(cluster, distributed) as started, distributed.Client(started) as client:
        client.wait_for_workers(1)
        yield client


def _cluster(name: str, distributed: Any) -> Any:
    kind, _, count = name.partition(":")
    if kind == "local":
        if not count.isdigit() or int(count) < 1:
            raise SpecError(f"{name!r} names no number of workers.", where="--cluster", mend="Write --cluster local:2.")
        return distributed.LocalCluster(
            n_workers=int(count), threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=40
        )
    options = dict(_configured(name))
    workers = options.pop("workers", 1)
    module, _, target = str(options.pop("class")).rpartition(".")
    made = getattr(importlib.import_module(module), target)(**options)
    made.scale(workers)
    return made


def _configured(name: str) -> Mapping[str, Any]:
    """A table of the user's clusters file, such as ``[slurm] class = "dask_jobqueue.SLURMCluster"``."""
    path = Path(platformdirs.user_config_path("bdk")) / CLUSTERS
    tables = tomllib.loads(path.read_text()) if path.is_file() else {}
    if name not in tables or "class" not in tables[name]:
        raise SpecError(
            f"There is no cluster {name!r}.",
            where="--cluster",
            mend=f'Write local:N, a scheduler\'s address, or a table [{name}] with class = "…" into {path}.',
        )
    return tables[name]
