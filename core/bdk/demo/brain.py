"""The simulated brain of the demo world: betas of four subjects, from pixels and scene attributes.

Early areas are Gaussian receptive fields over contrast energy, luminance and colour; ventral and lateral voxels mix
such fields with sparse weights on attributes. Noise follows NSD: ncsnr is log-normal, a quarter of the noise is shared.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from bdk.demo.dataset import render_all
from bdk.demo.scenes import Scene, scenes
from bdk.demo.vision import ATTRIBUTES, ENERGY_MAPS, GRID, MAPS, attribute_vectors, feature_maps

VOXELS: dict[str, int] = {"subj01": 1572, "subj02": 1428, "subj05": 1304, "subj07": 1268}
"""Voxels of each subject: a tenth of NSD's `nsdgeneral`."""
_CALIBRATION_IDS = 50_000_000
_CALIBRATION_SCENES = 400
_COMPRESSION = 0.8
_SHARED_NOISE, _SHARED_RANK = 0.25, 12
_REPEAT_OFFSET = 0.05


@dataclass(frozen=True)
class Area:
    """One region of interest.

    Attributes:
        share: of the subject's voxels.
        field: size of its receptive fields at the centre, share of the picture.
        growth: of that size with eccentricity.
        knowledge: share of the drive that comes from attributes, not from pixels.
        colour: how much its voxels listen to luminance and colour, against contrast energy.
    """

    share: float
    field: float
    growth: float
    knowledge: float
    colour: float


AREAS: dict[str, Area] = {
    "V1": Area(0.17, 0.035, 0.06, 0.0, 0.8),
    "V2": Area(0.15, 0.045, 0.10, 0.0, 0.8),
    "V3": Area(0.12, 0.060, 0.15, 0.0, 0.8),
    "hV4": Area(0.08, 0.080, 0.25, 0.0, 1.6),
    "ventral": Area(0.27, 0.150, 0.30, 0.3, 1.0),
    "lateral": Area(0.21, 0.150, 0.30, 0.3, 0.7),
}


@dataclass(frozen=True)
class SimulatedBetas:
    """Responses of one subject.

    Attributes:
        betas: [trials, V], float32: a signal of about unit variance per voxel, plus that voxel's noise.
        trial_stimulus: row of the stimulus list that each trial showed.
        trial_repeat: 0, 1, ... : which showing of that stimulus it was.
        rois: region by name, true for its voxels.
        ncsnr: signal over noise standard deviation of a single trial, per voxel.
    """

    betas: Float[np.ndarray, "trials V"]
    trial_stimulus: Int[np.ndarray, " trials"]
    trial_repeat: Int[np.ndarray, " trials"]
    rois: dict[str, Bool[np.ndarray, " V"]]
    ncsnr: Float[np.ndarray, " V"]


@dataclass(frozen=True)
class _Tuning:
    """What drives each voxel."""

    fields: Float[np.ndarray, "256 V"]
    map_weights: Float[np.ndarray, "15 V"]
    attribute_weights: Float[np.ndarray, "A V"]
    knowledge: Float[np.ndarray, " V"]
    area: Int[np.ndarray, " V"]
    ncsnr: Float[np.ndarray, " V"]


def _areas(voxels: int) -> Int[np.ndarray, " V"]:
    edges = np.cumsum([area.share for area in AREAS.values()])
    return np.searchsorted(edges / edges[-1], (np.arange(voxels) + 0.5) / voxels)


def _receptive_fields(rng: np.random.Generator, field: np.ndarray, growth: np.ndarray) -> Float[np.ndarray, "256 V"]:
    """Gaussians over the grid, each summing to one; denser near the centre, wider outside."""
    n = len(field)
    eccentricity = 0.5 * rng.random(n) ** 0.7
    angle = rng.random(n) * 2 * np.pi
    x, y = 0.5 + eccentricity * np.cos(angle) * 1.2, 0.5 + eccentricity * np.sin(angle) * 1.2
    width = field + growth * eccentricity
    places = (np.arange(GRID) + 0.5) / GRID
    across = np.exp(-((places[:, None] - x) ** 2) / (2 * width**2))
    down = np.exp(-((places[:, None] - y) ** 2) / (2 * width**2))
    fields = (down[:, None] * across[None]).reshape(GRID * GRID, n)
    return (fields / fields.sum(0)).astype(np.float32)


def _map_weights(rng: np.random.Generator, colour: np.ndarray) -> Float[np.ndarray, "15 V"]:
    weights = rng.gamma(0.5, 1.0, (MAPS, len(colour)))
    weights[ENERGY_MAPS:] = rng.normal(0, 1, (MAPS - ENERGY_MAPS, len(colour))) * colour
    return weights.astype(np.float32)


def _attribute_weights(rng: np.random.Generator, voxels: int) -> Float[np.ndarray, "A V"]:
    chosen = rng.random((len(ATTRIBUTES), voxels)) < 0.05
    return (chosen * rng.normal(0, 1, chosen.shape)).astype(np.float32)


@lru_cache(maxsize=8)
def _tune(subject: str, voxels: int, seed: int) -> _Tuning:
    rng = np.random.default_rng([seed, zlib.crc32(subject.encode())])
    area = _areas(voxels)
    table = list(AREAS.values())
    field, growth, knowledge, colour = (
        np.array([getattr(table[a], name) for a in area]) for name in ("field", "growth", "knowledge", "colour")
    )
    return _Tuning(
        _receptive_fields(rng, field, growth),
        _map_weights(rng, colour),
        _attribute_weights(rng, voxels),
        knowledge,
        area,
        rng.lognormal(np.log(0.36), 0.6, voxels),
    )


@lru_cache(maxsize=1)
def _calibration() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Feature maps and attributes of a fixed set of scenes, and the maps' mean and deviation over it."""
    members = scenes(_CALIBRATION_IDS, _CALIBRATION_SCENES)
    maps = feature_maps(render_all(members))
    return maps, attribute_vectors(members), maps.mean((0, 2))[:, None], maps.std((0, 2))[:, None]


def _standard(drive: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return (drive - reference.mean(0)) / (reference.std(0) + 1e-6)


def _pixel_drive(maps: Float[np.ndarray, "B 15 256"], tuning: _Tuning) -> Float[np.ndarray, "B V"]:
    _, _, mean, deviation = _calibration()
    scaled = (maps - mean) / deviation
    drive = np.zeros((len(maps), len(tuning.area)), dtype=np.float32)
    for number in range(MAPS):
        drive += (scaled[:, number] @ tuning.fields) * tuning.map_weights[number]
    return drive


def _signal(maps: np.ndarray, attributes: np.ndarray, tuning: _Tuning) -> Float[np.ndarray, "B V"]:
    """Noise-free responses, unit variance over the calibration scenes, compressed."""
    known_maps, known_attributes, _, _ = _calibration()
    seen = _standard(_pixel_drive(maps, tuning), _pixel_drive(known_maps, tuning))
    weights = tuning.attribute_weights
    knows = _standard(attributes @ weights, known_attributes @ weights)
    drive = np.sqrt(1 - tuning.knowledge) * seen + np.sqrt(tuning.knowledge) * knows
    return np.sign(drive) * np.abs(drive) ** _COMPRESSION


def _noise(rng: np.random.Generator, trials: int, voxels: int) -> Float[np.ndarray, "trials V"]:
    """Unit variance per voxel: independent, plus a shared part of rank 12."""
    alone = rng.standard_normal((trials, voxels), dtype=np.float32)
    mixing = rng.standard_normal((_SHARED_RANK, voxels), dtype=np.float32)
    mixing /= np.linalg.norm(mixing, axis=0)
    shared = rng.standard_normal((trials, _SHARED_RANK), dtype=np.float32) @ mixing
    return np.sqrt(1 - _SHARED_NOISE) * alone + np.sqrt(_SHARED_NOISE) * shared


def _trials(rng: np.random.Generator, stimuli: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Every repeat shows all stimuli in an order of its own."""
    order = [rng.permutation(stimuli) for _ in range(repeats)]
    return np.concatenate(order), np.repeat(np.arange(repeats), stimuli)


def simulate(
    subject: str,
    images: np.ndarray,
    scenes: list[Scene],
    repeats: int = 3,
    snr_scale: float = 1.0,
    voxels: int | None = None,
    seed: int = 0,
) -> SimulatedBetas:
    """Betas of one subject who sees every picture `repeats` times.

    A voxel's tuning depends on subject, number of voxels and seed alone; the noise also on what is shown. Signals are
    scaled by a fixed set of calibration scenes, so train and test may be simulated in separate calls.

    Args:
        subject: one of `VOXELS`.
        images: pictures [B, S, S, 3], uint8.
        scenes: the scene of each picture.
        repeats: showings of each picture.
        snr_scale: multiplies every voxel's ncsnr, whose median is .36 at 1.
        voxels: how many to simulate; None takes the subject's own number.
        seed: of tuning and noise.

    Raises:
        ValueError: for an unknown subject, or pictures and scenes that differ in number.
    """
    if subject not in VOXELS:
        raise ValueError(f"No subject '{subject}' in the demo world. Known: {', '.join(VOXELS)}.")
    if len(images) != len(scenes):
        raise ValueError(
            f"{len(images)} pictures, but {len(scenes)} scenes: the simulated brain needs one scene per picture."
        )
    tuning = _tune(subject, voxels or VOXELS[subject], seed)
    signal = _signal(feature_maps(images), attribute_vectors(scenes), tuning)
    shown = zlib.crc32(np.array([scene.id for scene in scenes]).tobytes())
    rng = np.random.default_rng([seed, zlib.crc32(subject.encode()), shown])
    stimulus, repeat = _trials(rng, len(scenes), repeats)
    ncsnr = tuning.ncsnr * snr_scale
    offsets = rng.normal(0, _REPEAT_OFFSET, (repeats, signal.shape[1]))
    betas = signal[stimulus] + _noise(rng, len(stimulus), signal.shape[1]) * signal.std(0) / ncsnr + offsets[repeat]
    rois = {name: tuning.area == number for number, name in enumerate(AREAS)}
    return SimulatedBetas(betas.astype(np.float32), stimulus, repeat, rois, ncsnr.astype(np.float32))
