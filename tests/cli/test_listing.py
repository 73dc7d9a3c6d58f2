"""`bdk list`, `bdk show` and `bdk cite`: what is installed, told without loading any of it."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from bdk import facts, registry
from bdk.components import FAMILIES
from bdk.discovery import HEAVY
from bdk.errors import BdkError
from bdk.testing.installing import install
from bdk_cli import completion, texts
from bdk_cli.main import app
from typer.testing import CliRunner


def run(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def told(*arguments):
    return json.loads(run(*arguments, "--json"))


@pytest.mark.parametrize(
    "command", ["list", "list encoder --json", "list --errors", "show encoder mamba", "show stage1"]
)
def test_nothing_heavy_is_imported(command):
    code = (
        "import sys\nfrom bdk_cli.main import main\n"
        f"try:\n    main({command.split()!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_names_are_completed_without_torch():
    code = (
        "import sys\nfrom bdk_cli import completion\nprint(completion.names_of('fusion'))\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ram" in done.stdout
    assert done.stderr.strip() == "False"


def test_list_names_every_part_of_every_family():
    text = run("list")
    known = registry.load()
    for family in FAMILIES:
        for name in known.names(family):
            assert name in text and known.component(family, name).summary.split()[0] in text
    assert "data sets" in text and "bundled specs" in text


@pytest.mark.parametrize(
    ("word", "holds"), [("encoder", "ridge"), ("priors", "diffusion"), ("data", "nsd"), ("space", "demo-clip/image")]
)
def test_one_section_can_be_listed_and_its_name_may_be_singular_or_plural(word, holds):
    (names,) = [
        [row["name"] for row in rows] for key, rows in told("list", word).items() if key not in ("broken", "notices")
    ]
    assert holds in names


def test_an_unknown_section_is_refused_and_the_known_ones_are_named():
    with pytest.raises(BdkError, match="widgets") as caught:
        run("list", "widgets")
    assert "encoder" in caught.value.mend and "specs" in caught.value.mend


def test_list_says_what_is_to_be_installed(monkeypatch):
    info = registry.load().component("retriever", "faiss")
    monkeypatch.setitem(
        registry.load().components, ("retriever", "faiss"), replace(info, requires=(("nobody_x", "cpu"),))
    )
    text = " ".join(run("list", "retriever").split())
    assert text.count("[needs ") == 1
    assert '[needs pip install "brain-decoding-kit[cpu]"]' in text


def test_a_strangers_part_is_marked_with_its_distribution(tmp_path, monkeypatch):
    door = (
        "from bdk import hookimpl, offer\n@hookimpl\ndef bdk_components():\n"
        "    return [offer('fusion', 'gentle', config='a:B', target='a:C', summary='a test')]\n"
    )
    install(tmp_path, "bdk-gentle", {"bdk_gentle.py": door}, {"gentle": "bdk_gentle"}, version="7.1")
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget()
    try:
        text = run("list", "fusion")
    finally:
        registry.forget()
        sys.modules.pop("bdk_gentle", None)
    assert "[bdk-gentle 7.1]" in text
    assert "brain-decoding-kit" not in text


@pytest.mark.parametrize("family", FAMILIES)
def test_show_explains_every_option_of_every_part(family):
    for name in registry.load().names(family):
        shown = told("show", family, name)
        assert all(option["type"] and option["meaning"] for option in shown["options"]), name
        assert shown["shapes"] and shown["example"].startswith(f"bdk run --{family} {name}")


def test_show_tells_type_bounds_default_and_quick_value():
    options = {option["name"]: option for option in told("show", "prior", "diffusion")["options"]}
    assert options["samples"]["type"] == "whole number"
    assert options["samples"]["bounds"] == ">= 1"
    assert (options["samples"]["default"], options["samples"]["quick"]) == ("4", "2")
    assert options["noise"]["type"] == '"independent" | "shared"'


def test_show_tells_what_the_text_and_the_json_say_alike():
    text, plain = run("show", "fusion", "ram"), told("show", "fusion", "ram")
    assert plain["source"].startswith("BrainRAM eq. 7-11")
    assert plain["shapes"] == ["(estimate: [B T D], neighbours: [B K T D], present: [B K]) -> [B T D]"]
    for word in ("BrainRAM eq. 7-11", plain["example"], *(option["name"] for option in plain["options"])):
        assert word in text


def test_an_option_that_must_be_given_stands_in_the_example():
    assert told("show", "data", "bids")["example"] == "bdk run --data bids --data.root ROOT"
    assert "must be given" in run("show", "data", "bids")


@pytest.mark.parametrize(
    "arguments", [("space", "clip-vit-l14/image"), ("metric", "ssim"), ("spec", "table4"), ("data", "demo")]
)
def test_show_knows_data_spaces_metrics_and_specs(arguments):
    assert arguments[1] in run("show", *arguments)
    assert told("show", *arguments)["distribution"].startswith(registry.OWN)


@pytest.mark.parametrize("section", ["stage1", "stage2", "select", "measure"])
def test_show_knows_the_sections_that_are_no_parts(section):
    options = told("show", section)["options"]
    assert options and all(option["meaning"] for option in options)


def test_an_unknown_part_is_refused_with_near_names():
    with pytest.raises(BdkError) as caught:
        run("show", "encoder", "mambo")
    assert "'mamba'" in caught.value.mend


def test_cite_prints_the_bibtex_of_a_part():
    assert "@" in run("cite", "versatile-diffusion") and "Versatile Diffusion" in run("cite", "versatile-diffusion")


def test_cite_of_a_spec_holds_what_its_parts_are_taken_from():
    of_parts = {key for name in ("mamba", "ram") for key in told("cite", name)}
    assert of_parts and of_parts <= set(told("cite", "brainram"))


def test_every_citation_of_a_built_in_part_has_bibtex():
    known = registry.load()
    keys = {key for info in known.components.values() for key in info.cite}
    assert {key for key in keys if not known.citations.get(key, "").startswith("@")} == set()


def completed(line, **environment):
    """What a shell is told when TAB is pressed behind a line."""
    words = [*line.split(), *([""] if line.endswith(" ") else [])]
    typed = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_BDK_COMPLETE": "complete_bash"}
    code = "import sys\nfrom bdk_cli.main import main\nmain([])\n"
    script = f"import atexit, sys\natexit.register(lambda: print('TORCH', 'torch' in sys.modules))\n{code}"
    env = {**os.environ, **typed, **environment}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    *told, last = done.stdout.split("\n")[:-1]
    assert last == "TORCH False", done.stderr
    return told


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("bdk sh", {"show"}),
        ("bdk list fus", {"fusion"}),
        ("bdk show enc", {"encoder"}),
        ("bdk show fusion ra", {"ram"}),
        ("bdk run table", {"table3", "table4"}),
        ("bdk plan --encoder mam", {"mamba"}),
        ("bdk run table4 --fusion no", {"none"}),
        ("bdk run --enc", {"--encoder"}),
        ("bdk cite brainr", {"brainram"}),
        ("bdk plugin new ret", {"retriever"}),
    ],
)
def test_a_shell_completes_what_is_installed(line, holds):
    told = completed(line)
    assert holds <= set(told) and len(told) == len(set(told))
    assert all(word.startswith(line.split()[-1]) for word in told)


def test_what_must_be_chosen_is_not_completed_with_none():
    assert "none" in completion.complete_value("fusion", "")
    assert "none" not in completion.complete_value("encoder", "")


def test_types_are_told_in_words():
    words = {
        int | None: "whole number | none",
        tuple[str, ...]: "list of text",
        dict[str, float]: "table of number",
        bool: "true or false",
    }
    assert {kind: facts.type_words(kind) for kind in words} == words


def test_a_docstring_is_read_without_importing_its_module():
    code = (
        "import sys\nfrom bdk import facts\nfrom bdk.registry import load\n"
        "target = load().component('fusion', 'ram').target\n"
        "print(facts.docstring(target)[:6], target.split(':')[0] in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Divide", "False"]


@pytest.mark.parametrize("width", range(60, 130))
def test_no_line_ends_within_the_name_and_version_of_a_package(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    row = {"name": "mine", "summary": "one line about a part " * 3, "distribution": "bdk-mine 0.1.0"}
    assert "[bdk-mine 0.1.0]" in texts.listing({"encoder": [row]})
