"""What is found on this machine, in which versions, and what a spec lacks, with the line that gets it.

Nothing here imports torch at the top; asking for accelerators and kernels imports what is asked about.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bdk import registry as registries
from bdk.artifacts import Store
from bdk.data.plugin import DATASETS
from bdk.errors import BdkError
from bdk.fingerprints import shipped_path
from bdk.galleries.manifest import MANIFEST
from bdk.galleries.resolving import config_file, known_galleries
from bdk.lacking import lacks_of
from bdk.metrics.presets import PRESETS
from bdk.plan import PlannedRun, describe
from bdk.registry import Registry
from bdk.runs import planned
from bdk.weights import KNOWN, Manifest, how_to_get, weights_lacks

State = Literal["ok", "absent", "broken", "lacking"]
MAMBA = ("mamba-ssm", "causal-conv1d")
FAISS = ("faiss-cpu", "faiss-gpu")
VERSIONS = ("brain-decoding-kit", "torch", "torchvision", "accelerate", "diffusers", "open_clip_torch", "timm", "numpy")
VD_PARTS = (
    ("diffusers.models.unets.unet_2d_condition", "UNet2DConditionModel"),
    ("diffusers.models.transformers.transformer_2d", "Transformer2DModel"),
    ("diffusers.models.autoencoders.vae", "Decoder"),
    ("diffusers", "UniPCMultistepScheduler"),
    ("diffusers", "DDIMScheduler"),
)
"""What the Versatile Diffusion decoder takes from diffusers."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Args:
        topic: ``versions``, ``accelerators``, ``kernels``, ``weights``, ``galleries``, ``data``, ``plugins``, ``store``,
            or ``spec NAME``.
        name: what was looked for.
        state: ``ok``; ``absent``, and nobody asked for it; ``broken``: it is here and does not work; ``lacking``: a spec
            that was asked about needs it.
        said: version, path, or what is wrong.
        mend: the line that gets or repairs it.
    """

    topic: str
    name: str
    state: State
    said: str = ""
    mend: str = ""

    @property
    def is_needed(self) -> bool:
        """Whether something has to be done about it."""
        return self.state in ("broken", "lacking")


def examine(
    specs: Sequence[str] = (),
    *,
    overrides: Iterable[tuple[str, str]] = (),
    quick: bool = False,
    store: Path | str | None = None,
    plugins: Iterable[str] = (),
) -> list[Finding]:
    """Everything that was found, and what each row of some specs lacks.

    Args:
        specs: bundled names or paths; none asks about the machine alone.
        overrides: options as (dotted key, text).
        quick: ask about the smaller pass.
        store: steps that are in it already lack nothing.
        plugins: unpackaged plugins, files or modules.

    Raises:
        BdkError: a spec that cannot be understood or planned.
    """
    extra = tuple(plugins)
    found = [*versions(), *accelerators(), *mamba(), *faiss(), *diffusers(), *weights(), *galleries(), *data()]
    found += [*broken_plugins(registries.load(extra)), *stores(Store(store))]
    if specs:
        found += lacks(specs, overrides=overrides, quick=quick, store=Store(store), plugins=extra)
    return found


def lacks(
    specs: Sequence[str], *, overrides: Iterable[tuple[str, str]], quick: bool, store: Store, plugins: Iterable[str]
) -> list[Finding]:
    """What each row of some specs lacks; one line where it lacks nothing."""
    plan, registry = planned(specs, overrides=overrides, quick=quick, plugins=plugins)
    found = []
    for run in plan.runs:
        topic, row = f"spec {run.spec.sweep}", run.spec.name
        missing = lacks_of(run, plan, registry, store)
        found += [Finding(topic, row, "lacking", *_split(lack)) for lack in missing]
        if not missing:
            found.append(Finding(topic, row, "ok", "nothing is missing"))
        found += unmeasured(run, topic, registry)
    return found


def unmeasured(run: PlannedRun, topic: str, registry: Registry) -> Iterator[Finding]:
    """Metrics of a run that will have no value for want of a network; the run goes through without."""
    if run.spec.decoder is None or describe(run.spec.data, registry).world:
        return
    measure = run.spec.measure
    for metric, network in PRESETS[measure.preset].networks.items():
        if (not measure.metrics or metric in measure.metrics) and (lack := weights_lacks(network)):
            yield Finding(topic, run.spec.name, "absent", f"metric {metric} will have no value", _split(lack[0])[1])


def _split(lack: str) -> tuple[str, str]:
    """What is missing, and the line that gets it: a lack is one sentence and that line."""
    said, stop, mend = lack.partition(". ")
    return said + stop.strip(), mend.strip()


def versions() -> Iterator[Finding]:
    """Python and the packages that decide numbers."""
    yield Finding("versions", "python", "ok", f"{platform.python_version()}, {platform.platform()}")
    for name in VERSIONS:
        version = _version(name)
        mend = "" if version else f"pip install {name}"
        yield Finding("versions", name, "ok" if version else "absent", version, mend)


def accelerators() -> Iterator[Finding]:
    """Accelerators that torch can use, with memory."""
    torch, fault = _import("torch")
    if torch is None:
        yield Finding("accelerators", "torch", "broken", fault, "pip install --force-reinstall torch torchvision")
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        facts = torch.cuda.get_device_properties(number)
        said = f"{facts.name}, {facts.total_memory / 1e9:.0f} GB, compute {facts.major}.{facts.minor}"
        yield Finding("accelerators", f"cuda:{number}", "ok", f"{said}, CUDA {torch.version.cuda}")
    if not count:
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built for the CPU"
        yield Finding("accelerators", "cuda", "absent", f"none found; {built}")


def mamba() -> Iterator[Finding]:
    """The kernels of the Mamba encoder: CUDA's, and numba's for the CPU; without any our own scan runs."""
    own = "the encoder mamba runs on our own scan, with the same weights"
    for name in MAMBA:
        version = _version(name)
        if not version:
            mend = "pip install --no-build-isolation mamba-ssm causal-conv1d    (on a machine with CUDA, after torch)"
            yield Finding("kernels", name, "absent", own, mend)
            continue
        module, fault = _import("mamba_ssm.ops.selective_scan_interface" if name == "mamba-ssm" else "causal_conv1d")
        triple = f"{version}, beside torch {_version('torch')}"
        if module is None:
            mend = f"pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps {name}"
            yield Finding("kernels", name, "broken", f"{triple}: {fault}", mend)
        else:
            yield Finding("kernels", name, "ok", triple)
    numba = _version("numba")
    mend = "" if numba else 'pip install "brain-decoding-kit[cpu]"'
    said = f"{numba}: compiled scan on the CPU" if numba else "the scan on the CPU is torch's, and slower"
    yield Finding("kernels", "numba", "ok" if numba else "absent", said, mend)


def faiss() -> Iterator[Finding]:
    """Which faiss is installed; its two wheels share one folder, and each overwrites the other."""
    names = _distributions(FAISS)
    if not names:
        said = "galleries are searched exactly, without an index"
        yield Finding("kernels", "faiss", "absent", said, 'pip install "brain-decoding-kit[cpu]"')
        return
    if len(names) > 1:
        said = f"{' and '.join(f'{n} {_version(n)}' for n in names)} overwrite each other's files"
        keep = next((name for name in names if "gpu" in name), names[0])
        mend = f"pip uninstall -y {' '.join(names)} && pip install {keep}"
        yield Finding("kernels", "faiss", "broken", said, mend)
        return
    module, fault = _import("faiss")
    if module is None:
        said = f"{names[0]} {_version(names[0])}: {fault}"
        yield Finding("kernels", "faiss", "broken", said, f"pip install --force-reinstall {names[0]}")
        return
    gpus = module.get_num_gpus() if hasattr(module, "get_num_gpus") else 0
    yield Finding("kernels", names[0], "ok", f"{module.__version__}, {gpus} GPUs")


def diffusers() -> Iterator[Finding]:
    """Whether diffusers still has what the Versatile Diffusion decoder is made of."""
    version = _version("diffusers")
    if not version:
        yield Finding("kernels", "diffusers", "absent", "diffusion decoders cannot run", "pip install diffusers")
        return
    lost = []
    for module_name, name in VD_PARTS:
        module, fault = _import(module_name)
        if module is None or not hasattr(module, name):
            lost.append(fault or f"{module_name}.{name} is gone")
    said = f"{version}: {'; '.join(lost) if lost else 'Versatile Diffusion parts found'}"
    mend = 'pip install "diffusers>=0.42,<0.43"' if lost else ""
    yield Finding("kernels", "diffusers", "broken" if lost else "ok", said, mend)


def weights() -> Iterator[Finding]:
    """Weights of the manifest, and published ones that are known and not in it."""
    manifest = Manifest.load()
    for name in [*manifest.entries, *(name for name in KNOWN if name not in manifest.entries)]:
        entry = manifest.entries.get(name)
        if entry is None:
            yield Finding("weights", name, "absent", KNOWN[name].summary, how_to_get(name))
            continue
        try:
            manifest.entry(name)
        except BdkError as error:
            yield Finding("weights", name, "broken", error.what, error.mend)
        else:
            yield Finding("weights", name, "ok", f"{entry.path}, sha256 {entry.sha256[:12]}")


def galleries() -> Iterator[Finding]:
    """Galleries that the user's configuration names."""
    try:
        known = known_galleries()
    except BdkError as error:
        yield Finding("galleries", "galleries.toml", "broken", error.what, error.mend or f"Mend {config_file()}.")
        return
    for name, folder in known.items():
        if (Path(folder) / MANIFEST).is_file():
            yield Finding("galleries", name, "ok", folder)
        else:
            mend = f"bdk index build EMBEDDINGS --name {name} --out {folder}"
            yield Finding("galleries", name, "broken", f"There is no gallery in {folder}.", mend)
    if not known:
        mend = f'bdk index build EMBEDDINGS --name laion2b --out FOLDER, then laion2b = "FOLDER" in {config_file()}'
        yield Finding("galleries", "laion2b", "absent", "no gallery is configured; the demo world draws its own", mend)


def data() -> Iterator[Finding]:
    """The demo world's shipped networks; other data is named by a spec."""
    missing = [n for n in ("clip", "vae", "unet") if not shipped_path(f"bdk.demo:weights/{n}.safetensors").is_file()]
    said = f"{', '.join(missing)} missing from the package" if missing else "shipped with the package"
    mend = "pip install --force-reinstall brain-decoding-kit" if missing else ""
    yield Finding("data", "demo", "broken" if missing else "ok", said, mend)
    others = ", ".join(info.name for info in DATASETS if info.name != "demo")
    yield Finding(
        "data", "others", "ok", f"known: {others}; bdk doctor SPEC --data NAME --data.path PATH asks about one"
    )


def broken_plugins(registry: Registry) -> Iterator[Finding]:
    """Plugins that could not be taken in."""
    for plugin in registry.plugins:
        fault = next((b for b in registry.broken if b.entry_point == plugin.entry_point), None)
        if fault is None:
            yield Finding("plugins", plugin.entry_point, "ok", plugin.distribution)
        else:
            said = f"{plugin.distribution}: {fault.reason}"
            yield Finding("plugins", plugin.entry_point, "broken", said, "bdk plugin check shows more")


def stores(store: Store) -> Iterator[Finding]:
    """Where artifacts go, and how much room there is."""
    nearest = store.root
    while not nearest.exists():
        nearest = nearest.parent
    free = shutil.disk_usage(nearest).free
    yield Finding("store", str(store.root), "ok", f"{free / 1e9:.0f} GB free")


def as_rows(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as plain data."""
    return [{**asdict(finding), "needed": finding.is_needed} for finding in found]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _distributions(starts: Sequence[str]) -> list[str]:
    """Installed distributions whose name is one of these, or one of these for a CUDA version (``faiss-gpu-cu12``)."""
    found = [str(one.metadata["Name"]) for one in importlib.metadata.distributions() if one.metadata]
    names = {name.lower().replace("_", "-") for name in found}
    return sorted(name for name in names if any(name == start or name.startswith(f"{start}-") for start in starts))


def _import(name: str) -> tuple[Any, str]:
    """A module, or why it cannot be imported."""
    try:
        return importlib.import_module(name), ""
    except Exception as error:  # noqa: BLE001 - a package that cannot be imported may raise anything
        return None, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
