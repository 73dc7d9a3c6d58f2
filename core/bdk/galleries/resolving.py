"""From a gallery's name to its folder: an explicit root, or the user's ``galleries.toml``."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import platformdirs

from bdk.errors import DataError, RetrieverUnavailableError
from bdk.galleries.manifest import MANIFEST


def config_file() -> Path:
    """``BDK_GALLERIES``, or ``galleries.toml`` in the user's configuration folder."""
    return Path(os.environ.get("BDK_GALLERIES") or platformdirs.user_config_path("bdk") / "galleries.toml")


def known_galleries() -> dict[str, str]:
    """Folder of each gallery named in the configuration file (``name = "/folder"`` lines); empty without a file.

    Raises:
        DataError: the file is not such a table.
    """
    path = config_file()
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"The list of galleries cannot be read: {error}.", where=str(path)) from error
    if not all(isinstance(folder, str) for folder in table.values()):
        raise DataError('The list of galleries may hold only lines such as laion2b = "/data/laion2b".', where=str(path))
    return {name: str(path.parent / Path(folder).expanduser()) for name, folder in table.items()}


def find_gallery(name: str, root: str | None) -> Path:
    """The folder of a gallery.

    Args:
        name: as the user's configuration file or the registry calls it.
        root: ``retriever.root`` of the spec; wins over the configuration file.

    Raises:
        RetrieverUnavailableError: no folder is known for it, or the folder holds no gallery.
    """
    folder = root or known_galleries().get(name)
    if folder is None:
        raise RetrieverUnavailableError(
            f"Where the gallery {name!r} lies is not known.",
            where="retriever.root",
            mend=f"Build one: `bdk index build EMBEDDINGS --name {name} --out FOLDER`, then --retriever.root FOLDER, "
            f'or write {name} = "FOLDER" into {config_file()}.',
        )
    path = Path(folder).expanduser()
    if not (path / MANIFEST).is_file():
        raise RetrieverUnavailableError(
            f"There is no gallery in {path} (no {MANIFEST}).",
            where="retriever.root" if root else str(config_file()),
            mend="`bdk index build` makes one from embeddings; `bdk index import` adopts a folder of clip-retrieval.",
        )
    return path
