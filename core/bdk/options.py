"""Options of parts: what every options class is made of. The descriptions of parts are in `bdk.components`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every options class: frozen, unknown keys refused, each field documented by the line under it.

    A field made with ``Field(default, json_schema_extra={"quick": value})`` takes ``value`` under ``--quick``
    unless the user set it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    needs_neighbours: ClassVar[bool] = True
    """Fusion modules: whether a spec without a retriever is refused. False for controls that ignore neighbours."""


class DecoderConfig(Config):
    """Base of decoder options: says, as plain data, in which space each of its guides lives."""

    required: ClassVar[tuple[str, ...]] = ()
    """Guides without which the decoder cannot work."""

    def spaces(self) -> dict[str, str]:
        """Space id of every guide the decoder understands, by guide name; none: whatever the data gives."""
        raise NotImplementedError("a decoder's config says its spaces")

    def uses_neighbours(self) -> bool:
        """Whether the decoder also wants the ids of the retrieved items (as `nearest` does)."""
        return False
