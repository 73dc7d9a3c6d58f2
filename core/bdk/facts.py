"""What can be said of a part without importing it: options, shapes, source. Imports no torch.

`bdk show` prints it, the reference pages of the docs are written from it, and the conformance kit checks with it that
every option is explained.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from bdk.components import ComponentInfo, DatasetInfo
from bdk.registry import config_class

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from bdk.options import Config

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "a multiple of"}


@dataclass(frozen=True)
class Option:
    """One option of a part.

    Args:
        name: its key in a spec.
        type: in words, such as ``whole number``, or the words it may be.
        bounds: limits, such as ``>= 1``; empty for none.
        default: as TOML writes it; empty if it must be given.
        quick: what ``--quick`` makes of it; empty for no change.
        meaning: its docstring.
    """

    name: str
    type: str
    bounds: str
    default: str
    quick: str
    meaning: str


def options_of(kind: type[Config]) -> list[Option]:
    """Every option of a config class, in the order written."""
    return [_option(name, info) for name, info in kind.model_fields.items()]


def _option(name: str, info: FieldInfo) -> Option:
    extra = info.json_schema_extra
    quick = _toml(extra["quick"]) if isinstance(extra, Mapping) and "quick" in extra else ""
    default = "" if info.is_required() else _toml(info.get_default(call_default_factory=True))
    meaning = " ".join((info.description or "").split())
    return Option(name, type_words(info.annotation), _bounds(info.metadata), default, quick, meaning)


def type_words(annotation: Any) -> str:
    """A type as a person says it."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(json.dumps(word, ensure_ascii=False) for word in inside)
    if origin in (Union, types.UnionType):
        return " | ".join(type_words(part) for part in inside)
    if origin in (tuple, list, set, frozenset):
        return f"list of {type_words(inside[0])}" if inside else "list"
    if origin is dict:
        return f"table of {type_words(inside[1])}"
    words = {bool: "true or false", int: "whole number", float: "number", str: "text", type(None): "none"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: list[Any]) -> str:
    found = [
        f"{word} {value:g}" if isinstance(value, float) else f"{word} {value}"
        for limit in metadata
        for name, word in _BOUNDS.items()
        if (value := getattr(limit, name, None)) is not None
    ]
    return ", ".join(found)


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def docstring(target: str) -> str:
    """The docstring of a ``module:Name`` class or function (of the module, without a name), read from its source.

    Only the packages above the module are imported. Empty if there is none.
    """
    module, _, name = target.partition(":")
    if not name:
        return ast.get_docstring(_tree(module)) or ""
    return next((ast.get_docstring(node) or "" for node in _definitions(module) if node.name == name), "")


def call_shapes(family: str) -> list[str]:
    """What a family's parts are called with and return, as `bdk.interfaces` states it."""
    known = {node.name: node for node in _definitions("bdk.interfaces")}
    lines = []
    for node in known[family.capitalize()].body:
        if isinstance(node, ast.FunctionDef):
            returned = ast.unparse(node.returns) if node.returns else ""
            parts = f" = {_fields(known[returned])}" if returned in known else ""
            lines.append(_signature(node) + parts)
    return lines


AXES = "B stimuli, V voxels, T tokens, D numbers per token, S samples, K neighbours, P numbers of a key, E excluded ids"
"""What the letters of `call_shapes` mean."""


def _signature(node: ast.FunctionDef) -> str:
    arguments = ast.unparse(node.args).removeprefix("self, ")
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return ("" if node.name == "__call__" else node.name) + _plain_shapes(f"({arguments}){returned}")


def _fields(node: ast.ClassDef | ast.FunctionDef) -> str:
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    inside = ", ".join(_plain_shapes(f"{ast.unparse(part.target)}: {ast.unparse(part.annotation)}") for part in fields)
    return f"({inside})"


def _plain_shapes(text: str) -> str:
    return re.sub(r"(?:Float|Int|Bool)\[Tensor, '([^']*)'\]", r"[\1]", text)


def _definitions(module: str) -> list[ast.ClassDef | ast.FunctionDef]:
    return [node for node in _tree(module).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]


@cache
def _tree(module: str) -> ast.Module:
    """A module's source, parsed; empty where it cannot be had."""
    try:
        spec = importlib.util.find_spec(module)
        return ast.parse(Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else "")
    except (ImportError, AttributeError, ValueError, OSError, SyntaxError):
        return ast.parse("")


def source_of(text: str) -> str:
    """The ``Source:`` paragraph of a docstring, on one line; empty if there is none."""
    found = re.search(r"Source: (.+?)(?:\n\s*\n|\Z)", inspect.cleandoc(text), re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def example_of(info: ComponentInfo | DatasetInfo, options: list[Option]) -> str:
    """A command that uses the part and sets one of its options."""
    section = info.family if isinstance(info, ComponentInfo) else "data"
    line = f"bdk run --{section} {info.name}"
    must = [option for option in options if not option.default]
    for option in must or _worth_showing(options):
        line += f" --{section}.{option.name} {option.default.strip(chr(34)) or option.name.upper()}"
    return line


def _worth_showing(options: list[Option]) -> Iterator[Option]:
    """One option that a person is likely to set: a number before a word."""
    able = [option for option in options if option.default not in ("none", "[]", "{}", '""')]
    numbers = [option for option in able if option.type in ("whole number", "number")]
    return iter((numbers or able)[:1])


def facts_of(info: ComponentInfo | DatasetInfo) -> dict[str, Any]:
    """Everything `bdk show` says of a component or a data set, as plain data.

    Raises:
        PluginError: its config class cannot be loaded.
    """
    options = options_of(config_class(info))
    text = docstring(info.target)
    facts: dict[str, Any] = {
        "name": info.name,
        "summary": info.summary,
        "distribution": info.distribution,
        "version": info.version,
        "about": text,
        "source": _source(info, text),
        "cite": list(info.cite),
        "options": [asdict(option) for option in options],
        "example": example_of(info, options),
        "target": info.target,
        "config": info.config,
    }
    if isinstance(info, ComponentInfo):
        facts |= {"family": info.family, "fit_mode": info.fit_mode, "shapes": call_shapes(info.family)}
        facts["missing"] = missing_packages(info)
    return facts


def _source(info: ComponentInfo | DatasetInfo, text: str) -> str:
    """What the part is taken from: its class says it, else its options' class, else its module."""
    places = (text, docstring(info.config), docstring(info.target.partition(":")[0]))
    return next((found for place in places if (found := source_of(place))), "")


def missing_packages(info: ComponentInfo) -> list[str]:
    """What is to be installed before the part can be used, as commands."""
    absent = [(package, extra) for package, extra in info.requires if importlib.util.find_spec(package) is None]
    return [f'pip install "brain-decoding-kit[{extra}]"' if " " not in extra else extra for _, extra in absent]
