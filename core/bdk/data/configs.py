"""Options of the built-in data sets. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from bdk.components import Config
from bdk.errors import SpecError

Split = Literal["nsd37", "nsd40"]


class SpacesConfig(Config):
    """Which representations of the stimuli the guides are, unless a decoder or a guide says otherwise."""

    image_space: str = "clip-vit-l14/image"
    """Space id of the `image` guide. Default: CLIP ViT-L/14 image tokens, which BrainRAM, MindEye and Brain-Diffuser
    decode to."""
    text_space: str = "clip-vit-l14/text"
    """Space id of the `text` guide. Default: CLIP ViT-L/14 text tokens (BrainRAM, Brain-Diffuser)."""
    low_space: str = "sd-vae/latent"
    """Space id of the `low` guide. Default: latents of Stable Diffusion's VAE (MindEye, Takagi)."""

    def spaces(self) -> dict[str, str]:
        """Space id of each guide."""
        return {"image": self.image_space, "text": self.text_space, "low": self.low_space}


class DemoConfig(Config):
    """The embedded demo world: drawn scenes and a simulated brain."""

    subject: Literal["subj01", "subj02", "subj05", "subj07"] = "subj01"
    """Whose simulated brain: 1572, 1428, 1304 or 1268 voxels, a tenth of NSD's `nsdgeneral`."""
    train: int = Field(2400, ge=8, le=3000, json_schema_extra={"quick": 400})
    """Training stimuli, 8 to 3,000. The default lets the whole pass end within five minutes on two cores."""
    test: int = Field(300, ge=4, le=1000, json_schema_extra={"quick": 64})
    """Test stimuli, seen by every subject, 4 to 1,000. 300 is the pool of the published retrieval scores."""
    repeats: int = Field(3, ge=1, le=20)
    """Showings of each stimulus. NSD shows each three times."""
    seed: int = Field(0, ge=0)
    """Another seed is another brain and another choice of scenes; it is apart from the seed of the run."""
    snr: float = Field(1.0, gt=0.0, le=10.0)
    """Factor on every voxel's signal-to-noise ratio, no unit. 1: median ncsnr .36, so that the noise ceiling of three
    showings is 8, 28 and 64 % at the 10th, 50th and 90th percentile of voxels; 1.4: median ncsnr .50, ceiling 43 %."""
    voxels: int = Field(0, ge=0, json_schema_extra={"quick": 512})
    """Voxels to simulate; 0 for the subject's own number."""


class ArraysConfig(SpacesConfig):
    """Betas and stimuli in array files, described by one TOML file."""

    path: str
    """The TOML file that describes the arrays. Relative file names in it are relative to its folder."""
    normalise: Literal["none", "run", "train"] = "none"
    """Z-score every voxel: within each run, by the training trials, or not. Default: leave betas as they are."""
    constant_voxels: Literal["refuse", "drop"] = "refuse"
    """What to do about voxels that never vary: they carry nothing, and dividing by their deviation fails."""
    roi: str = ""
    """Use the voxels of this region only (a name under `rois` of the file; `a+b` for a union). Empty: all."""


class NiftiConfig(SpacesConfig):
    """A BOLD or beta NIfTI, a mask, and a table of what was shown when."""

    bold: str
    """4-D NIfTI (.nii or .nii.gz): volumes over time, or one beta volume per trial."""
    mask: str
    """3-D NIfTI; voxels above 0 are used."""
    events: str
    """Table of events. With a header (tab, comma or space separated): `onset` and `duration` in seconds, `run`,
    `trial_type`; or one line per volume: label and run, with or without a header `label run`."""
    kind: Literal["bold", "betas"] = "bold"
    """Whether the volumes are raw BOLD (estimates are made here) or already one beta per line of the table."""
    tr: float = Field(2.0, gt=0.0, le=20.0)
    """Seconds between volumes; used with onsets only."""
    estimate: Literal["block", "trial"] = "block"
    """`block`: mean over the volumes of each stretch of one label; `trial`: every volume (or event) by itself."""
    lag: int = Field(2, ge=0, le=10)
    """Volumes by which the response trails the stimulus. The haemodynamic response peaks after 4 to 6 s: 2 volumes of
    2 to 2.5 s."""
    rest: tuple[str, ...] = ("rest", "baseline", "n/a")
    """Labels that are no stimulus."""
    normalise: Literal["none", "run", "train"] = "run"
    """Z-score every voxel over the volumes of each run (before averaging), or over training trials."""
    detrend: bool = True
    """Take a straight line out of every voxel of every run first. Scanner drift is slower than any block."""
    test_runs: tuple[int, ...] = ()
    """Runs held out for testing. Empty: the last run. The unit of splitting is the run, since volumes of one run
    share drift and noise."""
    captions: str = ""
    """TOML file with a table `[captions]`: label -> one caption or a list. Empty: the label itself is its caption."""
    images: str = ""
    """Folder with one picture per label (`face.png`, ..). Empty: no images, so text guides and retrieval only."""
    image_size: int = Field(256, ge=16, le=1024)
    """Side in pixels to which pictures are brought."""
    constant_voxels: Literal["refuse", "drop"] = "drop"
    """Voxels that never vary: edges of a mask often have some, so they are dropped."""
    subject: str = "sub-01"
    """Named in the output."""
    rois: dict[str, str] = Field(default_factory=dict)
    """Further 3-D NIfTI masks by name, of which the voxels inside `mask` count."""
    text_space: str = "label-code/text"
    """Space id of the `text` guide. Default: one random unit code per distinct caption; it knows no meaning, which is
    right for a handful of category names. Use `clip-vit-l14/text` for sentences."""


class PreparedConfig(SpacesConfig):
    """A folder made by `bdk data prepare`."""

    path: str = ""
    """The prepared folder. Empty: plan only, with the published sizes."""
    subject: str = "subj01"
    """Must agree with the prepared folder; `subj01` to `subj08` for NSD."""
    split: Split = "nsd37"
    """Must agree with the prepared folder. `nsd37` (8,859 + 982 images of subjects 1, 2, 5 and 7) is what the
    published systems used; `nsd40` has 9,000 + 1,000."""
    roi: str = "nsdgeneral"
    """Voxels to use (`early+ventral` for a union). Default: the published systems' mask."""
    trials: Literal["single", "average"] = "single"
    """Keep single trials, or average the trials of each stimulus before anything else."""
    verify: Literal["sizes", "checksums"] = "sizes"
    """How closely to check the files on loading; `bdk data check` always compares checksums."""
    train: int = Field(0, ge=0, json_schema_extra={"quick": 400})
    """Use so many of the training stimuli, evenly spread over the table; 0 for all. Every output then says so."""
    test: int = Field(0, ge=0, json_schema_extra={"quick": 100})
    """Use so many of the test stimuli, evenly spread over the table; 0 for all. Every output then says so."""

    def lacks(self) -> list[str]:
        """A line if no prepared folder is named, or there is none."""
        how = "bdk data prepare nsd --root NSD --subject 1 --out DIR, then --data.path DIR"
        return _folder_lacks(self.path, "manifest.json", "prepared folder", how)


def _folder_lacks(path: str, holds: str, noun: str, how: str) -> list[str]:
    if not path:
        return [f"No {noun} is named. {how}"]
    return [] if (Path(path) / holds).exists() else [f"There is no {noun} in {path}. {how}"]


class MindEyeConfig(SpacesConfig):
    """MindEye's webdataset export of NSD."""

    path: str = ""
    """Folder with the `train`, `val` and `test` tar files (names containing those words), at any depth."""
    subject: str = "subj01"
    """Only tar files whose name holds this word are read, if any holds it."""
    captions: str = ""
    """`COCO_73k_annots_curated.npy` (73,000 x 5 strings); empty for no captions."""
    image_size: int = Field(256, ge=16, le=1024)
    """Side in pixels; the export holds 256."""
    cache: str = ""
    """Folder for the unpacked arrays; empty for `<path>/.bdk`."""

    def lacks(self) -> list[str]:
        """A line if no export is named, or it is not there."""
        return _folder_lacks(self.path, "", "export of MindEye's webdataset", "--data.path FOLDER")


class MindEye2Config(SpacesConfig):
    """MindEye2's hdf5 export of NSD."""

    path: str = ""
    """Folder with `betas_all_subjNN_fp32_renorm.hdf5`, `coco_images_224_float16.hdf5` and `wds/subjNN/`."""
    subject: str = "subj01"
    """Whose betas."""
    captions: str = ""
    """`COCO_73k_annots_curated.npy` (73,000 x 5 strings); empty for no captions."""
    sessions: int = Field(40, ge=1, le=40)
    """Use the first so many sessions."""

    def lacks(self) -> list[str]:
        """A line if no export is named, or it is not there."""
        return _folder_lacks(self.path, "", "export of MindEye2's hdf5", "--data.path FOLDER")


class BidsConfig(SpacesConfig):
    """BIDS derivatives: one beta volume per trial and an events table per run."""

    root: str
    """Folder of the derivatives that holds `sub-XX/...`."""
    subject: str = "sub-01"
    """Which participant."""
    task: str = ""
    """Only runs of this task; empty for all."""
    desc: str = ""
    """Only files with `desc-<this>`; empty for all."""
    space: str = ""
    """Only files with `space-<this>`; empty for all."""
    suffix: str = "betas"
    """Last word of the beta files' names: `.._betas.nii.gz`."""
    events: str = ""
    """Folder to look for the `_events.tsv` files in; empty for `root`. Derivatives often leave them in the raw data."""
    mask: str = ""
    """3-D NIfTI; empty to look for `*_mask.nii.gz` of the participant, of which there must be exactly one."""
    rois: dict[str, str] = Field(default_factory=dict)
    """Further 3-D NIfTI masks by name."""
    stimulus_column: str = "stim_file"
    """Column of events.tsv that names the stimulus."""
    stimuli: str = ""
    """Folder that the stimulus names are relative to; empty for no images."""
    captions_column: str = ""
    """Column of events.tsv with a caption; empty for none."""
    split_column: str = ""
    """Column with `train` or `test`; empty to split by `test_share`."""
    test_share: float = Field(0.1, gt=0.0, lt=1.0)
    """Share of the stimuli held out, chosen by a hash of their names, if there is no split column."""
    normalise: Literal["none", "run", "session", "train"] = "run"
    """Z-score every voxel within each run, within each session, by the training trials, or not."""
    constant_voxels: Literal["refuse", "drop"] = "drop"
    """What to do about voxels that never vary."""
    image_size: int = Field(256, ge=16, le=1024)
    """Side in pixels to which pictures are brought."""

    @model_validator(mode="after")
    def _one_source_of_captions(self) -> BidsConfig:
        if not self.stimuli and not self.captions_column:
            raise SpecError(
                "Neither pictures nor captions: no guide could be computed.", mend="Set `stimuli` or `captions_column`."
            )
        return self
