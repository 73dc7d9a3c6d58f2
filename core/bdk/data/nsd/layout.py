"""Where NSD's official files lie, and what is known of each subject without them. Imports nothing heavy.

Source: the NSD data manual (Allen et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bdk.errors import DataError

TRIALS_PER_SESSION = 750
IMAGES = 73_000
SHARED = 1_000
SCALE = 300.0
"""Betas are stored as int16: percent signal change times 300."""
VERSION = "betas_fithrf_GLMdenoise_RR"
"""The GLM estimates that all six compared systems use (NSD's `b3`)."""

VOXELS = {
    "subj01": 15724, "subj02": 14278, "subj03": 15226, "subj04": 13153,
    "subj05": 13039, "subj06": 17907, "subj07": 12682, "subj08": 14386,
}  # fmt: skip
"""Voxels of `nsdgeneral > 0` at 1.8 mm."""
SESSIONS = {
    "subj01": 40, "subj02": 40, "subj03": 32, "subj04": 30, "subj05": 40, "subj06": 32, "subj07": 40, "subj08": 30,
}  # fmt: skip
"""Sessions that each subject took part in."""

LABELS = {
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
}
"""Names of the labels 1, 2, .. in each atlas file."""


@dataclass(frozen=True)
class Layout:
    """Paths of one subject's files under an NSD root.

    Args:
        root: folder that holds ``nsddata`` and ``nsddata_betas``.
        subject: 1 to 8.
        version: folder of the GLM estimates.
    """

    root: Path
    subject: int
    version: str = VERSION

    @property
    def name(self) -> str:
        """``subj01``, ..."""
        return f"subj{self.subject:02d}"

    @property
    def functional(self) -> Path:
        """Folder of the 1.8 mm volumes."""
        return self.root / "nsddata" / "ppdata" / self.name / "func1pt8mm"

    def roi(self, name: str) -> Path:
        """An atlas or mask volume."""
        return self.functional / "roi" / f"{name}.nii.gz"

    @property
    def responses(self) -> Path:
        """Table of what was shown and answered in every trial."""
        return self.root / "nsddata" / "ppdata" / self.name / "behav" / "responses.tsv"

    @property
    def design(self) -> Path:
        """Order of the trials and images."""
        return self.root / "nsddata" / "experiments" / "nsd" / "nsd_expdesign.mat"

    @property
    def stimulus_table(self) -> Path:
        """What is known of each of the 73,000 images."""
        return self.root / "nsddata" / "experiments" / "nsd" / "nsd_stim_info_merged.csv"

    @property
    def stimuli(self) -> Path:
        """The 73,000 pictures."""
        return self.root / "nsddata_stimuli" / "stimuli" / "nsd" / "nsd_stimuli.hdf5"

    @property
    def betas(self) -> Path:
        """Folder of one file per session."""
        return self.root / "nsddata_betas" / "ppdata" / self.name / "func1pt8mm" / self.version

    def session(self, number: int, kind: str = "auto") -> Path:
        """The betas of a session, counted from 1.

        Args:
            number: of the session.
            kind: ``nifti``, ``hdf5``, or ``auto`` for hdf5 if it is there (it is read faster), else NIfTI.

        Raises:
            DataError: the file is not there; both names are given.
        """
        suffixes = {"nifti": ("nii.gz",), "hdf5": ("hdf5",), "auto": ("hdf5", "nii.gz")}[kind]
        names = [self.betas / f"betas_session{number:02d}.{suffix}" for suffix in suffixes]
        found = next((path for path in names if path.is_file()), None)
        if found is None:
            raise DataError(
                f"The betas of session {number} are missing.",
                where=" or ".join(map(str, names)),
                mend="Download it, or prepare a split with fewer sessions.",
            )
        return found
