"""``bdk weights convert-vd`` and ``empty-prompt``: published models brought once to the form that decoders load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bdk_cli.weights import weights


def register(app: typer.Typer) -> None:
    """The commands are part of ``bdk weights``, which adds itself."""


@weights.command("convert-vd")
def convert_vd(
    source: Annotated[Path, typer.Argument(help="Published folder: image_unet, text_unet, vae, scheduler.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    add: Annotated[bool, typer.Option(help="Note the folder in the weights manifest.")] = True,
) -> None:
    """Join Versatile Diffusion's image and text networks into the one dual-guided network that its decoder loads."""
    from bdk.weights import Manifest

    name = "versatile-diffusion"
    _decoder(name).convert(source, out)
    typer.echo(f"written: {out}")
    if add:
        typer.echo(f"{name}: sha256 {Manifest.load().add(name, out).sha256}")


@weights.command("empty-prompt")
def empty_prompt(
    folder: Annotated[Path, typer.Argument(help="Folder of a diffusion model, text encoders included.")],
) -> None:
    """Keep the states of the empty caption beside a diffusion model, so that its text encoders are not needed again."""
    typer.echo(f"written: {_decoder('sd-img2img').write_empty_prompt(folder)}")


def _decoder(name: str):
    """The class of a decoder, found as everything is: by its name."""
    from bdk import registry

    info = registry.load().component("decoder", name)
    return registry.resolve(info.target, owner=info.distribution, requires=info.requires)
