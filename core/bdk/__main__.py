"""``python -m bdk``, for launchers such as torchrun: the command of the installed distribution."""

from __future__ import annotations

import importlib.metadata

if __name__ == "__main__":
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="bdk")
    script.load()()
