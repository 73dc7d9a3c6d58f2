"""The door: every plugin is taken in whole or left out with its reason, and nothing it does ends the command."""

import os
import sys
from dataclasses import replace

import pytest
from bdk import registry
from bdk.components import FAMILIES, offer
from bdk.errors import MissingExtraError, PluginError, UnknownNameError
from bdk.testing.installing import install

DOOR = """
from bdk import hookimpl, offer

@hookimpl
def bdk_components():
    return [offer("fusion", {name!r}, config="{module}:Options", target="{module}:Part", summary="a test")]
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the import path; modules imported from it are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("stranger", "bdk_plugin_")):
            del sys.modules[name]
    registry.forget()


def stranger(site, text, *, name="stranger", version="1.2"):
    """A distribution ``name`` whose entry point of that name is a module with this text."""
    module = name.replace("-", "_")
    install(site, name, {f"{module}.py": text}, {name: module}, version=version)
    registry.forget()
    return registry.load()


def test_every_family_has_built_in_parts_that_come_through_entry_points():
    known = registry.load()
    assert all(known.names(family) for family in FAMILIES)
    assert {info.distribution.rpartition(" ")[0] for info in known.components.values()} >= {registry.OWN}
    assert known.broken == []


def test_a_strangers_part_stands_beside_the_built_in_ones(site):
    known = stranger(site, DOOR.format(name="gentle", module="stranger"))
    assert known.component("fusion", "gentle").distribution == "stranger 1.2"
    assert {"gentle", "ram"} <= set(known.names("fusion"))


@pytest.mark.parametrize(
    ("fault", "cause", "reason"),
    [
        ("1 / 0", "import", "ZeroDivisionError"),
        ("import a_package_nobody_has", "import", "a_package_nobody_has"),
        ("def broken(:", "import", "SyntaxError"),
        ("raise SystemExit('no')", "exit", "SystemExit"),
        ("class Strange(BaseException): pass\nraise Strange('odd')", "import", "odd"),
        ('bdk_api = ">=9"', "api", ">=9"),
        ('bdk_api = "nine"', "api", "nine"),
        ("from bdk import hookimpl\n@hookimpl\ndef bdk_components(): return [3]", "offer", "int"),
        ("from bdk import hookimpl\n@hookimpl\ndef bdk_components(): raise OSError('disk')", "offer", "disk"),
        ("from bdk import hookimpl\n@hookimpl\ndef bdk_component(): return []", "offer", "bdk_component"),
    ],
)
def test_a_broken_plugin_is_left_out_with_its_cause(site, fault, cause, reason):
    known = stranger(site, fault)
    (broken,) = known.broken
    assert (broken.distribution, broken.entry_point, broken.cause) == ("stranger 1.2", "stranger", cause)
    assert reason in broken.reason
    assert "Traceback" in broken.trace
    assert "ram" in known.names("fusion")


def test_a_keyboard_interrupt_is_not_swallowed(site):
    with pytest.raises(KeyboardInterrupt):
        stranger(site, "raise KeyboardInterrupt")


def test_a_name_offered_twice_is_refused_and_both_distributions_are_named(site):
    known = stranger(site, DOOR.format(name="ram", module="stranger"))
    (broken,) = known.broken
    assert broken.cause == "duplicate"
    assert "stranger 1.2" in broken.reason and f"{registry.OWN} " in broken.reason
    assert known.component("fusion", "ram").distribution.startswith(f"{registry.OWN} ")


def test_a_plugin_that_offers_one_name_twice_is_refused_whole(site):
    text = DOOR.format(name="gentle", module="stranger").replace("return [", "return 2 * [")
    known = stranger(site, text)
    assert known.broken[0].cause == "duplicate"
    assert "gentle" not in known.names("fusion")


def test_of_two_strangers_with_one_name_the_second_is_refused_and_names_the_first(site):
    stranger(site, DOOR.format(name="gentle", module="stranger_a"), name="stranger-a")
    known = stranger(site, DOOR.format(name="gentle", module="stranger_b"), name="stranger-b")
    (broken,) = known.broken
    assert broken.distribution == "stranger-b 1.2"
    assert "stranger-a 1.2" in broken.reason


def test_what_a_plugin_prints_is_kept_out_of_the_output_and_told(site, capsys):
    text = "import sys\nprint('hello')\nprint('there', file=sys.stderr)\n" + DOOR.format(
        name="gentle", module="stranger"
    )
    known = stranger(site, text)
    assert capsys.readouterr() == ("", "")
    (notice,) = known.notices
    assert notice.kind == "noisy" and "hello" in notice.what and "there" in notice.what
    assert "gentle" in known.names("fusion")


def test_a_slow_plugin_is_named(site, monkeypatch):
    monkeypatch.setattr("bdk.discovery.SLOW", 0.05)
    known = stranger(site, "import time\ntime.sleep(0.1)\n")
    assert "slow" in {notice.kind for notice in known.notices if notice.distribution == "stranger 1.2"}


@pytest.mark.parametrize("word", ["stranger", "all", "other, stranger"])
def test_a_disabled_plugin_is_not_imported(site, monkeypatch, word):
    monkeypatch.setenv("BDK_DISABLE_PLUGINS", word)
    known = stranger(site, "raise RuntimeError")
    assert known.broken == []
    assert "stranger" not in sys.modules
    assert "ram" in known.names("fusion")


def test_strict_mode_makes_a_broken_plugin_an_error(site, monkeypatch):
    monkeypatch.setenv("BDK_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        stranger(site, "1 / 0")


def test_a_file_can_be_tried_without_packaging_it(site):
    path = site / "mine.py"
    path.write_text(DOOR.format(name="gentle", module="bdk_plugin_mine"))
    known = registry.load([str(path)])
    assert known.component("fusion", "gentle").distribution == f"{path} (not packaged)"


def test_bdk_plugins_names_files_and_modules(site, monkeypatch):
    (site / "mine.py").write_text(DOOR.format(name="gentle", module="bdk_plugin_mine"))
    (site / "stranger_two.py").write_text(DOOR.format(name="mild", module="stranger_two"))
    monkeypatch.setenv("BDK_PLUGINS", os.pathsep.join([str(site / "mine.py"), "stranger_two"]))
    assert {"gentle", "mild"} <= set(registry.load().names("fusion"))


def test_a_missing_plugin_file_is_listed_as_broken(site):
    assert "There is no plugin file" in registry.load([str(site / "nothing.py")]).broken[0].reason


def test_an_unknown_name_offers_near_ones_and_names_broken_plugins(site):
    known = stranger(site, "1 / 0")
    with pytest.raises(UnknownNameError) as caught:
        known.component("fusion", "rem")
    assert "'ram'" in caught.value.mend
    assert "stranger 1.2 is broken" in caught.value.mend


def test_a_missing_package_names_the_line_that_installs_it():
    with pytest.raises(MissingExtraError, match="nobody") as caught:
        registry.resolve("x:Y", requires=[("nobody_has_this", "cpu")])
    assert caught.value.mend == 'pip install "brain-decoding-kit[cpu]"'
    with pytest.raises(MissingExtraError) as caught:
        registry.resolve("x:Y", requires=[("nobody_has_this", "pip install nobody")])
    assert caught.value.mend == "pip install nobody"


PART = """
import sys
from bdk import Config

class Options(Config):
    pass

class Part:
    def __init__(self, config, context):
        {body}
"""


@pytest.mark.parametrize(("body", "says"), [("raise KeyError('weights')", "KeyError"), ("sys.exit(4)", "SystemExit")])
def test_a_constructor_that_fails_names_part_distribution_and_version(site, body, says):
    (site / "stranger_part.py").write_text(PART.format(body=body))
    info = offer("fusion", "gentle", config="stranger_part:Options", target="stranger_part:Part", summary="x")
    info = replace(info, distribution="stranger 1.2")
    with pytest.raises(PluginError, match=says) as caught:
        registry.build(info, registry.config_class(info)(), None)
    assert "fusion 'gentle'" in str(caught.value) and "stranger 1.2" in str(caught.value)


def test_what_a_constructor_prints_goes_to_stderr(site, capsys):
    (site / "stranger_part.py").write_text(PART.format(body="print('loading')"))
    info = offer("fusion", "gentle", config="stranger_part:Options", target="stranger_part:Part", summary="x")
    registry.build(info, registry.config_class(info)(), None)
    assert capsys.readouterr() == ("", "loading\n")


def test_the_window_that_plugins_state_holds_the_version_of_the_hooks():
    from bdk import discovery, hookspecs
    from packaging.specifiers import SpecifierSet

    assert hookspecs.API_VERSION in SpecifierSet(discovery.CURRENT)


@pytest.mark.parametrize("window", [">=1", "~=1.0", "==1.*", "<2"])
def test_other_windows_that_hold_the_version_are_taken(site, window):
    text = f"bdk_api = {window!r}\n" + DOOR.format(name="gentle", module="stranger")
    assert "gentle" in stranger(site, text).names("fusion")
