"""Specs: one TOML grammar for files, variants, grids and the command line."""

from bdk.spec.claims import Claim
from bdk.spec.models import GuideSpec, Measure, Part, RunSpec, Select
from bdk.spec.resolve import Sweep, load

__all__ = ["Claim", "GuideSpec", "Measure", "Part", "RunSpec", "Select", "Sweep", "load"]
