"""COCO captions of some images."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from bdk.data.files import read_mapping
from bdk.errors import DataError

SPLITS = ("train2017", "val2017")


def read_captions(folder: Path, coco_ids: list[int], splits: list[str]) -> list[list[str]]:
    """Every caption of each image, in the order of COCO's annotation ids, blanks at the ends taken off.

    Each of COCO's two files is read once, and only what is needed is kept.

    Args:
        folder: holds ``captions_train2017.json`` and ``captions_val2017.json``.
        coco_ids: COCO's number of each image.
        splits: ``train2017`` or ``val2017`` for each.

    Raises:
        DataError: a file is missing or malformed, or an image has no caption.
    """
    if not folder.is_dir():
        raise DataError(
            "There is no folder of COCO captions.",
            where=str(folder),
            mend="Name it: --captions DIR; or prepare without captions: --captions none.",
        )
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for split in sorted(set(splits)):
        if split not in SPLITS:
            raise DataError(
                f"There is no COCO split {split!r}.", where=str(folder), mend=f"Known: {', '.join(SPLITS)}."
            )
        path = folder / f"captions_{split}.json"
        wanted = {number for number, home in zip(coco_ids, splits, strict=True) if home == split}
        for annotation in _annotations(path):
            if annotation["image_id"] in wanted:
                found[annotation["image_id"]].append((annotation["id"], annotation["caption"].strip()))
    missing = [number for number in coco_ids if not found[number]]
    if missing:
        raise DataError(f"{len(missing)} images have no caption (the first is COCO {missing[0]}).", where=str(folder))
    return [[text for _, text in sorted(found[number]) if text] for number in coco_ids]


def _annotations(path: Path) -> list[dict]:
    content = read_mapping(path, "COCO captions")
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not annotations or not {"image_id", "id", "caption"} <= set(annotations[0]):
        raise DataError(
            "This is no COCO captions file: it has no annotations of image_id, id and caption.", where=str(path)
        )
    return annotations
