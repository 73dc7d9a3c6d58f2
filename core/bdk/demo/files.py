"""Where the demo world's weights lie, how they are read and written: fp16 safetensors with a card beside each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bdk.demo import STAMP

Net = TypeVar("Net", bound=nn.Module)
SHIPPED = Path(__file__).parent / "weights"


def read_weights(name: str, model: Net, folder: Path | str | None = None) -> Net:
    """Load `<name>.safetensors` into a model, strictly, as float32, ready for use.

    Raises:
        FileNotFoundError: with the command that makes the file.
    """
    path = Path(folder or SHIPPED) / f"{name}.safetensors"
    if not path.exists():
        command = "decoder" if name == "unet" else name
        raise FileNotFoundError(f"No weights at {path}.\nMake them: bdk demo train {command} --out {path.parent}")
    model.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    return model.eval().requires_grad_(False)


def write_weights(name: str, state: dict[str, Tensor], card: dict[str, object], folder: Path) -> None:
    """Write `<name>.safetensors` (fp16) and `<name>.card.json`, each aside first, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().cpu().to(torch.float16).contiguous() for key, value in state.items()}
    aside = folder / f"{name}.safetensors.tmp"
    save_file(tensors, aside, metadata={"world": STAMP})
    aside.chmod(0o644)
    aside.replace(folder / f"{name}.safetensors")
    card = {"name": f"bdk-demo-{name}", "world": STAMP, **card}
    (folder / f"{name}.card.json").write_text(json.dumps(card, indent=2) + "\n")


def read_card(name: str, folder: Path | str | None = None) -> dict[str, object]:
    """The card of shipped weights: command, seed, steps, time, held-out scores."""
    return json.loads((Path(folder or SHIPPED) / f"{name}.card.json").read_text())
