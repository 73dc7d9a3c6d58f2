"""From raw tables to checked options: every default written out, every unknown key refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import pydantic

from bdk.components import ComponentInfo, Config, DatasetInfo
from bdk.errors import SpecError
from bdk.registry import Registry, config_class
from bdk.spec import files
from bdk.spec.claims import Claim, read_claims
from bdk.spec.grammar import GUIDE_KEYS, Raw, as_part, merge, parse_value, set_key, unknown
from bdk.spec.models import GuideSpec, Measure, Part, RunSpec, Select
from bdk.spec.sweep import Row, rows, swept_keys
from bdk.training.configs import Stage1, Stage2

ConfigT = TypeVar("ConfigT", bound=Config)


@dataclass(frozen=True)
class Cited:
    """A row that is not run: numbers of the literature alone."""

    name: str
    label: str
    reported: Mapping[str, float]
    note: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """One spec with all of its rows."""

    name: str
    runs: tuple[RunSpec, ...]
    cited: tuple[Cited, ...] = ()
    order: tuple[str, ...] = ()
    caption: str = ""
    metrics: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    is_sweep: bool = False
    cites_unavailable: bool = False
    """Whether a row that lacks weights, data or a gallery is cited in place of being tried."""
    claims: tuple[Claim, ...] = ()
    """What its rows are asked to show."""


def load(
    name: str,
    registry: Registry,
    *,
    overrides: Iterable[tuple[str, str]] = (),
    quick: bool = False,
) -> Sweep:
    """Read a spec, expand its rows and check every option.

    Args:
        name: bundled spec or path.
        registry: what is installed.
        overrides: command-line options, as (dotted key, text).
        quick: scale the run down.

    Raises:
        SpecError: anything that cannot be understood, with the place and the words that can.
    """
    raw = files.read(name, registry)
    given = [(key, parse_value(text)) for key, text in overrides]
    _refuse_swept(given, raw, name)
    near = Path(name).parent if name.endswith(".toml") else None
    expanded = rows(raw, where=name, read=lambda other: files.read(other, registry, near=near))
    seeds = _seeds(raw, given, name)
    runs, cited = [], []
    for row in expanded:
        if not row.run:
            cited.append(Cited(row.name, row.label, row.reported, row.note, row.columns))
            continue
        runs += [_resolve(row, raw, given, registry, quick, seed, len(seeds) > 1, name) for seed in seeds]
    return Sweep(
        str(raw["name"]),
        tuple(runs),
        tuple(cited),
        tuple(row.name for row in expanded),
        str(raw.get("caption", "")),
        tuple(raw.get("metrics", ())),
        tuple(raw.get("footnotes", ())),
        bool(raw.get("variant") or raw.get("grid") or len(seeds) > 1),
        _unavailable(raw, name) == "cite",
        read_claims(raw, [row.name for row in expanded], registry, name),
    )


def _unavailable(raw: Raw, where: str) -> str:
    word = raw.get("unavailable", "fail")
    if word not in ("fail", "cite"):
        raise SpecError(f"unavailable is {word!r}.", where=where, mend='Write unavailable = "cite" or "fail".')
    return str(word)


def _refuse_swept(given: Sequence[tuple[str, Any]], raw: Raw, where: str) -> None:
    swept = swept_keys(raw)
    for key, _ in given:
        if key in swept:
            raise SpecError(
                f"--{key} is swept by this spec and cannot be set for all of its rows.",
                where=where,
                mend=f"Leave --{key} out, or write a spec of your own with `extends = {where!r}`.",
            )


def _seeds(raw: Raw, given: Sequence[tuple[str, Any]], where: str) -> list[int]:
    options = dict(given)
    seeds: Any
    if "seed" in options:
        seeds = [options["seed"]]
    else:
        seeds = options.get("seeds", raw.get("seeds", [raw.get("seed", 42)]))
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise SpecError(f"seeds must be whole numbers, not {seeds!r}.", where=where, mend="Write seeds = [1, 2, 3].")
    return seeds


def _resolve(
    row: Row,
    file: Raw,
    given: Sequence[tuple[str, Any]],
    registry: Registry,
    quick: bool,
    seed: int,
    many_seeds: bool,
    where: str,
) -> RunSpec:
    raw, pinned = _lay(row, given, quick, where)
    place = where if row.name == file["name"] else f"{where}, row {row.name!r}"
    maker = _Maker(registry, raw.get("defaults", {}), quick, pinned, place)
    decoder = maker.part("decoder", raw.get("decoder"), optional=True)
    guides = tuple(_guide(name, raw, maker) for name in _guide_names(raw, place))
    name = f"{row.name}/seed-{seed}" if many_seeds else row.name
    return RunSpec(
        name=name,
        sweep=str(file["name"]),
        label=_label(row.label, given),
        seed=seed,
        data=maker.required("data", raw.get("data")),
        guides=guides,
        decoder=decoder,
        select=maker.settings("select", Select, raw.get("select", {})),
        measure=maker.settings("measure", Measure, raw.get("measure", {})),
        reported=row.reported,
        columns=row.columns,
        ours=row.ours,
        note=row.note,
        cite=tuple(raw.get("cite", ())),
        quick=quick,
    )


UNTOLD = ("data", "seed", "seeds", "name")
"""First words of options that leave the method what its label says."""


def _label(label: str, given: Sequence[tuple[str, Any]]) -> str:
    """A row's label with what the command line changed about its method."""
    told = [f"{key}={value}" for key, value in given if key.split(".")[0] not in UNTOLD]
    return f"{label} ({', '.join(told)})" if told else label


def _lay(row: Row, given: Sequence[tuple[str, Any]], quick: bool, where: str) -> tuple[Raw, set[str]]:
    """The spec's tables, then ``when`` tables that hold, then the row, then the command line; and the keys pinned."""
    on_top = [(key, value, f"{where}, row {row.name!r}") for key, value in row.overrides]
    on_top += [(key, value, f"--{key}") for key, value in given if key not in ("seed", "seeds")]
    data = as_part(_set_all(row.base, on_top).get("data"), "data", where).get("use", "")
    pinned = {key for key, _ in given}
    raw = {key: value for key, value in row.base.items() if key != "when"}
    for condition in [data, *(["quick"] if quick else [])]:
        overlay = row.base.get("when", {}).get(condition, {})
        raw = merge(raw, overlay, where=f"{where}, when.{condition}")
        if condition == "quick":
            pinned |= set(_dotted(overlay))
    return _set_all(raw, on_top), pinned


def _set_all(raw: Raw, settings: Iterable[tuple[str, Any, str]]) -> Raw:
    result = merge({}, raw, where="")
    for key, value, where in settings:
        set_key(result, key, value, where=where)
    return result


def _dotted(table: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _guide_names(raw: Raw, where: str) -> list[str]:
    names = raw.get("guides", ["image", "text"])
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise SpecError("guides must list at least one guide.", where=where, mend='Write guides = ["image", "text"].')
    if len(set(names)) < len(names):
        raise SpecError(f"A guide stands twice in guides = {names}.", where=where)
    return names


def _guide(name: str, raw: Raw, maker: _Maker) -> GuideSpec:
    own = raw.get("guide", {}).get(name, {})
    for key in own:
        if key not in GUIDE_KEYS:
            raise unknown("guide option", key, GUIDE_KEYS, where=f"{maker.where}: guide.{name}")
    shared = {key: raw[key] for key in GUIDE_KEYS if key in raw}
    both = merge(shared, own, where=f"{maker.where}: guide.{name}")
    prefix = f"guide.{name}."
    guide = GuideSpec(
        name=name,
        encoder=maker.required("encoder", both.get("encoder"), prefix),
        prior=maker.part("prior", both.get("prior"), prefix, optional=True),
        retriever=maker.part("retriever", both.get("retriever"), prefix, optional=True),
        fusion=maker.part("fusion", both.get("fusion"), prefix, optional=True),
        stage1=maker.settings("stage1", Stage1, both.get("stage1", {}), prefix),
        stage2=maker.settings("stage2", Stage2, both.get("stage2", {}), prefix),
    )
    if guide.fusion and not guide.retriever and guide.fusion.options.needs_neighbours:
        raise SpecError(
            f"fusion {guide.fusion.use!r} of guide {name!r} has no neighbours to fuse: there is no retriever.",
            where=f"{maker.where}: fusion.use",
            mend="Choose a retriever (--retriever laion2b) or --fusion none.",
        )
    return guide


@dataclass(frozen=True)
class _Maker:
    """Turns raw tables into checked options."""

    registry: Registry
    defaults: Mapping[str, Any]
    quick: bool
    pinned: set[str]
    where: str

    def required(self, family: str, raw: Any, prefix: str = "") -> Part:
        part = self.part(family, raw, prefix)
        assert part is not None
        return part

    def part(self, family: str, raw: Any, prefix: str = "", *, optional: bool = False) -> Part | None:
        table = as_part(raw, family, self.where)
        use = table.pop("use", "none" if optional else None)
        here = f"{self.where}: {prefix}{family}"
        if use == "none" and optional:
            return None
        if not isinstance(use, str):
            raise SpecError(f"No {family} is chosen.", where=here, mend=f'Write {family} = "NAME" or --{family} NAME.')
        info: ComponentInfo | DatasetInfo
        if family == "data":
            info = self.registry.dataset(use, where=f"{here}.use")
        else:
            info = self.registry.component(family, use, where=f"{here}.use")
        below = self.defaults.get(family, {}).get(use, {})
        return Part(family, use, self.settings(family, config_class(info), {**below, **table}, prefix, label=use))

    def settings(self, section: str, kind: type[ConfigT], table: Any, prefix: str = "", *, label: str = "") -> ConfigT:
        here = f"{self.where}: {prefix}{section}"
        if not isinstance(table, Mapping):
            raise SpecError(f"{section} must be a table, not {table!r}.", where=here)
        noun = f"option of {section} {label}".strip()
        for key in table:
            if key not in kind.model_fields:
                raise unknown(noun, key, kind.model_fields, where=f"{here}.{key}")
        values = {**table, **self._quick_values(section, kind, table, prefix)}
        try:
            return kind.model_validate(values)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            path = ".".join(str(word) for word in first["loc"])
            raise SpecError(
                f"{path or section}: {first['msg']} (got {first.get('input')!r}).",
                where=f"{here}.{path}" if path else here,
                mend=f"`bdk show {section} {label}` lists the options.".replace("  ", " "),
            ) from error

    def _quick_values(self, section: str, kind: type[Config], table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Values of ``--quick``, where they are smaller than what the spec says (0 and none mean all)."""
        if not self.quick:
            return {}
        found = {}
        for name, info in kind.model_fields.items():
            extra = info.json_schema_extra
            keys = {f"{section}.{name}", f"{prefix}{section}.{name}"}
            if isinstance(extra, Mapping) and "quick" in extra and not keys & self.pinned:
                said, small = table.get(name, info.default), cast(Any, extra["quick"])
                if not (isinstance(said, (int, float)) and 0 < said <= small):
                    found[name] = small
        return found
