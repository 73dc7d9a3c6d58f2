"""What a gallery says of itself: ``manifest.json``. Imports no torch, so a plan can read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from bdk.canonical import canonical, digest
from bdk.components import Config
from bdk.errors import DataError, SpaceMismatchError

MANIFEST = "manifest.json"
_CHECKSUM = "checksum"
Kind = Literal["flat", "ivf-flat", "ivf-sq8", "opq-ivf-pq", "foreign"]
Modality = Literal["image", "text"]


class FileEntry(Config):
    """One file of a gallery."""

    path: str
    """Relative to the gallery folder, or absolute for files that are used in place."""
    bytes: int
    """Size, bytes."""
    sha256: str = ""
    """Checksum of the whole file; empty for another maker's files never hashed (`bdk index verify` says so)."""
    rows: int = 0
    """Gallery rows it holds; 0 for files that hold none."""


class IndexEntry(Config):
    """One search index over one of the gallery's embedding sets."""

    kind: Kind
    """Which structure; `flat` needs no file, the embedding shards are scanned."""
    files: tuple[FileEntry, ...] = ()
    """The index file first, then what it points to (inverted lists kept on disk)."""
    on_disk: bool = False
    """Whether the inverted lists stay on disk while searching."""
    metric: Literal["inner-product", "l2"] = "inner-product"
    """What the index ranks by."""
    nlist: int = 0
    """Inverted lists; 0 for none."""
    nprobe: int = 0
    """Inverted lists visited for a query unless an option says otherwise."""
    lossy: bool = False
    """Whether its scores are approximate, so that candidates must be ranked again with the stored embeddings."""
    trained_on: int = 0
    """Rows it was trained on."""
    seed: int = 0
    """Seed of the training sample and of k-means."""
    why: str = ""
    """Why this kind was chosen."""


class TokenEntry(Config):
    """Token tensors stored for every row, for one space."""

    space: str
    """Space id of the tokens."""
    tokens: int
    """T of each row."""
    dim: int
    """D of each token."""
    network: str = ""
    """Which network made them, told by what it makes of a fixed stimulus."""
    shards: tuple[FileEntry, ...]
    """Arrays [rows, T, D], float16, in row order."""


class Manifest(Config):
    """The manifest of a gallery."""

    format: Literal["bdk-gallery/1"] = "bdk-gallery/1"
    """Version of the layout."""
    name: str
    """What the gallery calls itself, such as `laion2b`."""
    key_model: str
    """Pooled space of the embeddings, such as `clip-vit-l14/pooled`; queries from another space are refused."""
    dim: int
    """P, numbers of an embedding."""
    n: int
    """Rows; a row's number is its id."""
    clip_model: str = ""
    """Architecture that made the embeddings, in open_clip's spelling."""
    clip_pretrained: str = ""
    """Pretraining tag of its weights."""
    normalised: bool = True
    """Whether every stored embedding has unit length (to half precision)."""
    metric: Literal["cosine"] = "cosine"
    """What neighbours are ranked by."""
    languages: tuple[str, ...] = ()
    """Languages of the captions; empty where not filtered."""
    licence: str = ""
    """Licence of the collection as a whole."""
    source: str = ""
    """Where the embeddings came from."""
    stand_in: bool = False
    """Whether the gallery stands in for another one (the demo world's do)."""
    stamp: str = ""
    """What every output made with it must say."""
    pictures: Literal["file", "url", "scene", "none"] = "none"
    """How a row's picture is had: a local file, a URL, a demo scene, or not at all."""
    recipe: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """How it was made: seeds, sizes, versions."""
    columns: tuple[str, ...] = ()
    """Metadata columns."""
    embeddings: dict[Modality, tuple[FileEntry, ...]] = Field(default_factory=dict)
    """Arrays [rows, P], float16 or float32, in row order: of the images, and of the captions if stored."""
    metadata: tuple[FileEntry, ...] = ()
    """Parquet files in row order."""
    tokens: dict[str, TokenEntry] = Field(default_factory=dict)
    """Stored token tensors by guide (`bdk index tokens`); usually none, they are made when a row is first fetched."""
    indexes: dict[Modality, IndexEntry] = Field(default_factory=dict)
    """Search index of each embedding set; an absent one is scanned."""

    @model_validator(mode="after")
    def _rows_add_up(self) -> Manifest:
        parts = {f"embeddings.{name}": shards for name, shards in self.embeddings.items()}
        parts |= {f"tokens.{guide}": entry.shards for guide, entry in self.tokens.items()}
        parts |= {"metadata": self.metadata} if self.metadata else {}
        for label, shards in parts.items():
            if sum(shard.rows for shard in shards) != self.n:
                raise ValueError(f"{label} holds {sum(s.rows for s in shards)} rows, the manifest says n = {self.n}")
        return self

    def files(self) -> list[FileEntry]:
        """Every file the manifest vouches for."""
        found = [shard for shards in self.embeddings.values() for shard in shards] + list(self.metadata)
        found += [shard for entry in self.tokens.values() for shard in entry.shards]
        for index in self.indexes.values():
            found += index.files
        return found

    def fingerprint(self) -> str:
        """Identity of the content: everything but where the files lie and came from."""
        plain = self.model_dump(mode="json", exclude={"source": True, "recipe": {"build"}})
        return digest(_without_paths(plain))

    def require_query(self, key_model: str, key_dim: int, *, where: str = "") -> None:
        """Refuse keys of another CLIP model or size.

        Raises:
            SpaceMismatchError: the keys are not in the gallery's space.
        """
        if (key_model, key_dim) != (self.key_model, self.dim):
            raise SpaceMismatchError(
                f"Gallery {self.name!r} holds embeddings of {self.key_model!r} ({self.dim} numbers), "
                f"but the queries are {key_model!r} ({key_dim} numbers).",
                where=where,
                mend="Use a gallery embedded with the queries' CLIP model, or guides of the gallery's.",
            )


def _without_paths(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_paths(part) for key, part in value.items() if key != "path"}
    if isinstance(value, list):
        return [_without_paths(part) for part in value]
    return value


def read_manifest(root: Path) -> Manifest:
    """The manifest of the gallery in folder ``root``.

    Raises:
        DataError: there is none, it is not JSON, or it contradicts itself; file and field are named.
    """
    path = root / MANIFEST
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        told = plain.pop(_CHECKSUM, "") if isinstance(plain, dict) else ""
        manifest = Manifest.model_validate(plain)
    except FileNotFoundError as error:
        raise DataError(
            f"{root} is not a gallery: it has no {MANIFEST}.",
            where=str(path),
            mend="`bdk index build` makes one from embeddings, `bdk index import` adopts one of clip-retrieval.",
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"The manifest is not readable JSON: {error}.", where=str(path), mend="Restore it from a copy."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "manifest"
        raise DataError(
            f"The manifest is wrong at {field}: {first['msg']}.", where=str(path), mend="Restore it from a copy."
        ) from error
    if told and told != digest(plain):
        raise DataError(
            "The manifest is damaged: its checksum is not that of its contents.",
            where=str(path),
            mend=f'Restore it from a copy. If you changed it on purpose, delete its line "{_CHECKSUM}".',
        )
    return manifest


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``, whole or not at all, with a checksum of what it says."""
    root.mkdir(parents=True, exist_ok=True)
    aside = root / f"{MANIFEST}.new"
    plain = json.loads(canonical(manifest.model_dump(mode="json")))
    plain[_CHECKSUM] = digest(plain)
    aside.write_text(json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    aside.replace(root / MANIFEST)
