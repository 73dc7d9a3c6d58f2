"""What to prepare, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bdk.canonical import digest
from bdk.data.nsd.layout import VERSION


@dataclass(frozen=True)
class Options:
    """What to prepare.

    Args:
        root: NSD's root folder.
        subject: 1 to 8.
        out: folder to write.
        split: ``nsd37`` or ``nsd40``: how many sessions are used (all there are, if the subject has fewer).
        zscore: ``session``: each voxel over the trials of each session (MindEye); ``train``: by mean and deviation
            (n - 1) of the training rows (Brain-Diffuser, with ``trials = "average"``); ``none``.
        trials: ``single`` or ``average`` over the showings of each image, after z-scoring by session, before z-scoring
            by training rows.
        betas: ``nifti``, ``hdf5`` or ``auto``.
        version: folder of the GLM estimates.
        masks: volumes whose voxels above 0 are kept.
        captions: folder of COCO's caption files; None for no captions.
        images: whether to copy the pictures.
        invalid: what to do about a voxel that does not vary in a session: ``refuse``, or ``zero``: keep it at 0 there,
            and count it in the manifest.
    """

    root: Path
    subject: int
    out: Path
    split: Literal["nsd37", "nsd40"] = "nsd37"
    zscore: Literal["session", "train", "none"] = "session"
    trials: Literal["single", "average"] = "single"
    betas: Literal["auto", "nifti", "hdf5"] = "auto"
    version: str = VERSION
    masks: tuple[str, ...] = ("nsdgeneral",)
    captions: Path | None = None
    images: bool = True
    invalid: Literal["refuse", "zero"] = "refuse"

    def identity(self) -> str:
        """Equal for options that give equal files, so that a killed preparation may be gone on with."""
        return digest({key: str(value) for key, value in asdict(self).items() if key not in ("out", "invalid")})
