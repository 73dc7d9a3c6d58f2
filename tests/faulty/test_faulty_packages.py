"""Packages with one deliberate fault each: the check meant for it fails, alone, and the command keeps working."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from bdk import registry, scaffold
from bdk.testing import conformance
from bdk.testing.installing import install_project
from bdk_cli.main import app
from typer.testing import CliRunner


@dataclass(frozen=True)
class Fault:
    """A package as `bdk plugin new` writes it, with some text replaced.

    Args:
        check: the check that is meant for it.
        kind: what kind of part it offers.
        file: ``door``, ``configs`` or ``module``.
        swaps: (text, its replacement).
        says: what its report must mention.
    """

    check: str
    kind: str
    file: str
    swaps: tuple[tuple[str, str], ...]
    says: str = ""


def door(check: str, old: str, new: str, says: str = "", kind: str = "fusion") -> Fault:
    return Fault(check, kind, "door", ((old, new),), says)


def module(check: str, old: str, new: str, says: str = "", kind: str = "fusion") -> Fault:
    return Fault(check, kind, "module", ((old, new),), says)


API = 'bdk_api = ">=1,<2"'
RETURN = "return estimate + share * (mean - estimate)"
CHECKS_IN_WORDS = (
    '        require_tokens(estimate, self.space, "The estimate", where=self.where)\n'
    "        require_neighbours(neighbours, present, estimate, self.k, where=self.where)\n"
)

SEARCH_CLASS = "\n\nclass Search:"


def method(head: str, returned: str) -> str:
    """A method added to the class that stands above `Search`."""
    return f"\n    {head}\n        return {returned}\n\n{SEARCH_CLASS}"


FAULTS = {
    # at the door
    "crashes": door("imports", API, f'{API}\nraise RuntimeError("boom")', "RuntimeError: boom"),
    "exits": door("does-not-exit", API, f"{API}\nraise SystemExit(3)", "SystemExit: 3"),
    "takes-a-name": door("names-are-free", '"takes-a-name",\n            config', '"ram",\n            config', "brain-decoding-kit"),
    "names-itself-twice": Fault(
        "names-are-free", "fusion", "door", (("    return [\n", "    one = [\n"), ("    ]\n", "    ]\n    return one + one\n"))
    ),
    "other-api": door("api-version-fits", API, 'bdk_api = ">=2,<3"', ">=2,<3"),
    "unreadable-api": door("api-version-fits", API, 'bdk_api = "two"', "two"),
    "prints": door("prints-nothing", API, f'{API}\nprint("hello from a stranger")', "hello from a stranger"),
    "heavy": door("door-is-light", API, f"{API}\nimport torch  # noqa", "torch"),
    "misspelt-hook": door("hooks-return-descriptions", "def bdk_components", "def bdk_component", "bdk_component"),
    "returns-names": door("hooks-return-descriptions", "    return [\n        offer(", '    return ["x"]\n    return [\n        offer('),
    "offers-nothing": door("offers-something", "@hookimpl\n", "", "@hookimpl"),
    "bad-name": door("description-is-complete", '"bad-name",\n', '"Bad_Name",\n'),
    "uncited": door("description-is-complete", 'fit_mode="gradient",', 'fit_mode="gradient",\n            cite=("nobody2020",),'),
    "lies-about-fit": door("fit-mode-is-true", 'fit_mode="gradient",', 'fit_mode="none",'),
    # its options
    "undocumented": Fault("options-are-documented", "fusion", "configs", (("    hidden: int", "    depth: int = 1\n    hidden: int"),), "depth"),
    "lax-options": Fault("config-is-strict", "fusion", "configs", (("    hidden: int", '    model_config = {"extra": "allow"}\n    hidden: int'),)),
    # building it
    "missing-extra": module("target-loads", "import torch\n", "import torch\nimport a_package_nobody_has\n", "a_package_nobody_has"),
    "no-such-class": module("target-loads", "class NoSuchClass(", "class Other(", "NoSuchClass"),
    "cannot-be-built": module("builds", "super().__init__()", 'super().__init__()\n        raise KeyError("weights")', "KeyError"),
    "fixed-voxels": module("shapes", "nn.Linear(context.voxels,", "nn.Linear(15724,", "15724", "encoder"),
    # what it returns
    "wrong-shape": module("shapes", RETURN, f"{RETURN}.mean(1)".replace("estimate + share * (mean - estimate)", "(estimate + share * (mean - estimate))"), "(3, 8)"),
    "fixed-sizes": module(
        "sizes-come-from-context", RETURN, f"{RETURN} + torch.zeros(257, 768).to(estimate)", "257 x 768"
    ),
    "returns-nan": module("numbers-are-finite", RETURN, f"{RETURN} + 0 * (estimate - estimate).log()"),
    "writes-inputs": module("inputs-stay-as-they-are", RETURN, f"estimate.mul_(0.5)\n        {RETURN}", "estimate"),
    "mixes-rows": module("rows-do-not-mix", RETURN, f"{RETURN} - estimate.mean(0)", "stimulus 1"),
    "random": module("chance-comes-from-the-generator", RETURN, f"{RETURN} + 0.01 * torch.rand_like(estimate)"),
    "forgets": Fault(
        "state-comes-back",
        "fusion",
        "module",
        (
            ("import torch\n", "import random\n\nimport torch\n"),
            ("self.gate = nn", "self.scale = random.random()\n        self.gate = nn"),
            (RETURN, RETURN.replace("share", "self.scale * share")),
        ),
        "no parameter or buffer",
    ),
    "single-precision": module("number-type-is-kept", RETURN, f"return ({RETURN.removeprefix('return ')}).float()"),
    "pinned-to-cpu": module("device-is-kept", RETURN, f"{RETURN} + 0 * torch.arange(self.space.dim, device='cpu')"),
    "raw-errors": module("errors-are-the-projects", CHECKS_IN_WORDS, "", "bdk.checks"),
    "idle-weights": module("gradients-reach-every-parameter", "self.gate = nn", "self.spare = nn.Linear(2, 2)\n        self.gate = nn", "spare"),
    "wrong-way": module("is-useful", RETURN, RETURN.replace("+", "-")),
    "sees-the-missing": module("missing-neighbours-do-not-matter", "torch.where(live, neighbours, neighbours.new_zeros(())).sum(1)", "neighbours.sum(1)"),
    # other families
    "own-chance": module(
        "chance-comes-from-the-generator",
        "torch.randn(shape, generator=generator, device=generator.device)",
        "torch.randn(shape)",
        "equal seeds",
        "prior",
    ),
    "cuts-gradients": module("gradients-reach-the-condition", "self._predict(condition)\n        missed", "self._predict(condition.detach())\n        missed", kind="prior"),
    "ignores-exclude": module("exclude-is-honoured", SEARCH_CLASS, method("def search(self, keys, k, exclude=None):", "super().search(keys, k)"), kind="retriever"),
    "fills-with-zeros": module("missing-is-nan", SEARCH_CLASS, method("def fetch(self, ids, guide):", "super().fetch(ids, guide).nan_to_num(0.0)"), kind="retriever"),
    "mixes-up-items": module("fetch-gives-the-items", SEARCH_CLASS, method("def fetch(self, ids, guide):", "super().fetch(ids.sort(1).values, guide)"), kind="retriever"),
    "any-key-model": Fault(
        "key-model-is-compared",
        "retriever",
        "module",
        (
            ("from functools import partial\n", "from dataclasses import replace\nfrom functools import partial\n\nfrom bdk.galleries.manifest import read_manifest\n"),
            ("super().__init__(config, context,", "context = replace(context, key_model=read_manifest(root).key_model)\n        super().__init__(config, context,"),
        ),
    ),
    "overexposed": Fault(
        "values-are-0-to-1", "decoder", "module", (("fields.sigmoid()", "fields"), ("pictures.clamp(0, 1)", "pictures"))
    ),
    "deaf": module("guides-matter", 'guides["image"].float()', 'torch.ones_like(guides["image"])', kind="decoder"),
    "blind-start": Fault(
        "missing-guides-are-named",
        "decoder",
        "module",
        (('if "image" not in guides:\n            raise ComponentError("It needs the guide \'image\'.", where=self.where, mend="Add it to `guides`.")',
          'if "image" not in guides:\n            raise ComponentError("No.", where="here")'),),
    ),
    "restless": module("loads-the-same-twice", "default_rng(self.config.seed)", "default_rng()", kind="dataset"),
    "boasts": module("description-is-true", 'return described(self.load(), {"image"', 'return replace(described(self.load(), {"image"', kind="dataset"),
    "upside-down": door("better-is-better", 'direction="up"', 'direction="down"', kind="metric"),
    "wrong-norm": door("norm-is-as-declared", '"image", backbone', '"image", "cls", backbone', kind="space"),
}  # fmt: skip
FAULTS["boasts"] = Fault(
    "description-is-true",
    "dataset",
    "module",
    (
        ('return described(self.load(), {"image": self.config.image_space})', 'return replace(described(self.load(), {"image": self.config.image_space}), voxels=9999)'),
        ("import numpy as np\n", "from dataclasses import replace\n\nimport numpy as np\n"),
    ),
    "9999",
)  # fmt: skip


def write_package(name: str, fault: Fault, folder: Path) -> str:
    """The scaffold's package with the fault in it, installed in the folder; returns the distribution's name."""
    scaffold.write(fault.kind, name, folder / "projects")
    root = folder / "projects" / f"bdk-{name}"
    word = name.replace("-", "_")
    path = root / "src" / f"bdk_{word}" / {"door": "__init__.py", "module": f"{word}.py"}.get(fault.file, "configs.py")
    text = path.read_text()
    for old, new in fault.swaps:
        assert old in text, f"the scaffold no longer has: {old}"
        text = text.replace(old, new)
    path.write_text(text)
    return install_project(folder / "site", root)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    def install(name: str) -> str:
        registry.forget()
        distribution = write_package(name, FAULTS[name], tmp_path)
        monkeypatch.syspath_prepend(tmp_path / "site")
        registry.forget()
        return distribution

    before = set(sys.modules)
    yield install
    for gone in set(sys.modules) - before:
        if gone.startswith("bdk_") and "plugin" not in gone:
            del sys.modules[gone]
    registry.forget()


@pytest.mark.parametrize("name", FAULTS)
def test_the_check_that_is_meant_for_a_fault_fails_and_no_other(installed, name):
    fault = FAULTS[name]
    report = conformance.check_package(installed(name))
    assert report.failed == [fault.check], str(report)
    assert not report.ok
    assert fault.says in str(report)
    listed = CliRunner().invoke(app, ["list"])
    assert listed.exit_code == 0
    assert "self-attention" in listed.output


def test_there_are_at_least_ten_faults():
    assert len({fault.check for fault in FAULTS.values()}) >= 30


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """All faulty packages installed side by side."""
    folder = tmp_path_factory.mktemp("crowd")
    registry.forget()
    for name, fault in FAULTS.items():
        write_package(name, fault, folder)
    return folder / "site"


def bdk(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "bdk_cli", *arguments], capture_output=True, text=True, env=env, check=False, timeout=120
    )


def test_list_works_beside_all_of_them_together(crowd):
    done = bdk(crowd, "list", "fusion")
    assert done.returncode == 0, done.stderr
    assert "ram" in done.stdout
    assert "hello from a stranger" not in done.stdout
    for name in ("crashes", "exits", "takes-a-name", "other-api"):
        assert f"bdk-{name} 0.1.0" in done.stderr


def test_errors_shows_tracebacks_and_what_slows_the_command(crowd):
    done = bdk(crowd, "list", "--errors")
    assert done.returncode == 0
    assert 'raise RuntimeError("boom")' in done.stdout
    assert "bdk-takes-a-name 0.1.0" in done.stdout and "brain-decoding-kit" in done.stdout
    assert "hello from a stranger" in done.stdout
    assert "imports torch" in done.stdout


def test_disabled_plugins_are_not_even_imported(crowd):
    env = {**os.environ, "PYTHONPATH": str(crowd), "BDK_DISABLE_PLUGINS": "all"}
    code = "from bdk import registry; import sys; r = registry.load(); print(len(r.broken), 'bdk_prints' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["0", "False"]


def test_strict_mode_refuses_to_start_beside_a_broken_plugin(crowd):
    env = {**os.environ, "PYTHONPATH": str(crowd), "BDK_STRICT_PLUGINS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bdk_cli", "list"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 2
    assert "BDK_STRICT_PLUGINS" in done.stderr and "Traceback" not in done.stderr


def test_plugin_check_exits_with_one_and_names_the_check(crowd):
    done = bdk(crowd, "plugin", "check", "bdk-crashes")
    assert done.returncode == 1
    assert "FAILED   imports" in done.stdout
