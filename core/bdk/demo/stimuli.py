"""What the simulated subjects look at: their own training pictures, and test pictures that all of them share."""

from __future__ import annotations

from functools import lru_cache

from bdk.demo.scenes import Scene, scenes

SUBJECTS: tuple[str, ...] = ("subj01", "subj02", "subj05", "subj07")
MOST_TRAINING = 3000
MOST_SHARED = 1000
_SHARED_IDS = 0
_TRAINING_IDS = {subject: 1_000_000 * (number + 1) for number, subject in enumerate(SUBJECTS)}


def shared_test(n: int, seed: int = 0) -> list[Scene]:
    """Test scenes that every subject sees; no shipped network was trained on their attributes.

    Raises:
        ValueError: for more than 1000 scenes.
    """
    if n > MOST_SHARED:
        raise ValueError(
            f"The demo world shares at most {MOST_SHARED} test stimuli between its subjects, asked for {n}."
        )
    return scenes(_SHARED_IDS, n, seed, held_out=True)


def training(subject: str, n: int, seed: int = 0) -> list[Scene]:
    """Training scenes of one subject; none has the attributes of a shared test scene.

    Raises:
        ValueError: for an unknown subject or more than 3000 scenes.
    """
    if subject not in _TRAINING_IDS:
        raise ValueError(f"No subject '{subject}' in the demo world. Known: {', '.join(SUBJECTS)}.")
    if n > MOST_TRAINING:
        raise ValueError(f"A demo subject has at most {MOST_TRAINING} training stimuli, asked for {n}.")
    return scenes(_TRAINING_IDS[subject], n, seed, held_out=False)


def stimuli(n_train: int, n_test: int, seed: int = 0, subject: str = "subj01") -> list[Scene]:
    """Scenes of one subject: `n_train` of its own, then `n_test` shared ones.

    Args:
        n_train: training scenes, at most 3000.
        n_test: shared test scenes, at most 1000; the same for every subject.
        seed: of the world.
        subject: one of `SUBJECTS`.
    """
    return training(subject, n_train, seed) + shared_test(n_test, seed)


@lru_cache(maxsize=2)
def all_attributes(seed: int = 0) -> frozenset[tuple]:
    """Attributes of every scene that any subject could be shown: what no gallery may hold."""
    shown = shared_test(MOST_SHARED, seed)
    for subject in SUBJECTS:
        shown += training(subject, MOST_TRAINING, seed)
    return frozenset(scene.attributes for scene in shown)
