"""One Mamba block, with mamba_ssm's nine parameter names."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_encoders.selective_scan import selective_scan


class MambaBlock(nn.Module):
    """Selective state-space block (Mamba 1), exchangeable with mamba_ssm's by its state dict.

    Source: Gu and Dao 2023; sizes and initial values as in mamba_ssm. Initial values are drawn from torch's global
    generator, as those of every torch module.

    Args:
        width: numbers per sequence element (d_model).
        state: numbers of state per channel (d_state).
        conv: width of the causal depthwise convolution (d_conv).
        expand: channels of the scan per number of an element.
        dt_rank: rank of the step-size projection; by default a sixteenth of ``width``, rounded up.
        kernel: who scans, see `bdk_encoders.selective_scan.selective_scan`.
    """

    def __init__(
        self, width: int, state: int = 16, conv: int = 4, expand: int = 2, dt_rank: int | None = None, *, kernel: str
    ) -> None:
        super().__init__()
        channels, self.state, self.kernel = expand * width, state, kernel
        self.dt_rank = dt_rank or math.ceil(width / 16)
        self.in_proj = nn.Linear(width, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, conv, groups=channels, padding=conv - 1)
        self.x_proj = nn.Linear(channels, self.dt_rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, channels)
        self.A_log = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, width, bias=False)
        self._reset_step_size()

    @torch.no_grad()
    def _reset_step_size(self, low: float = 1e-3, high: float = 1e-1, floor: float = 1e-4) -> None:
        """Step sizes start log-uniform in ``low`` .. ``high``."""
        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        exponent = torch.empty_like(self.dt_proj.bias).uniform_(math.log(low), math.log(high))
        step = exponent.exp().clamp(min=floor)
        self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))

    def forward(self, sequence: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """The mixed sequence; element l depends on elements 0 .. l only."""
        length = sequence.shape[1]
        inner, gate = self.in_proj(sequence).chunk(2, dim=-1)  # B L C, twice
        inner = F.silu(self.conv1d(inner.mT)[..., :length]).mT
        step, b, c = self.x_proj(inner).split([self.dt_rank, self.state, self.state], dim=-1)
        step = F.softplus(self.dt_proj(step))
        rate = self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()
        mixed = selective_scan(inner, step, -rate, b, c, kernel=self.kernel)
        return self.out_proj((mixed + inner * self.D) * F.silu(gate))
