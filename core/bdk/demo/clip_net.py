"""The two towers of the demo world's CLIP: 1.1 M parameters, 65 image tokens, 24 text tokens, 128 numbers each."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from bdk.demo.tokenizer import CONTEXT, END, PAD, vocabulary

WIDTH = 128
PATCHES = 64
_HEADS = 4


class Block(nn.Module):
    """Pre-norm transformer block with a hidden layer twice as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm_mlp = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Float[Tensor, "B T 128"], bias: Float[Tensor, "..."] | None) -> Float[Tensor, "B T 128"]:
        b, t, _ = x.shape
        heads = self.qkv(self.norm_attention(x)).view(b, t, 3, _HEADS, WIDTH // _HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=bias)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.mlp(self.norm_mlp(x))


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x + self.second(F.gelu(self.first(F.gelu(self.norm(x)))))


class ImageTower(nn.Module):
    """Convolutional stem to an 8 x 8 map, then two blocks over CLS + 64 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, 32, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.GroupNorm(8, 64),
            nn.GELU(),
            nn.Conv2d(64, WIDTH, 3, stride=2, padding=1),
            Residual(WIDTH),
        )
        self.cls = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.position = nn.Parameter(torch.randn(1, PATCHES + 1, WIDTH) * 0.02)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, images: Float[Tensor, "B 3 64 64"]) -> Float[Tensor, "B 65 128"]:
        patches = self.stem(images * 2 - 1).flatten(2).transpose(1, 2)  # B 64 128
        x = torch.cat([self.cls.expand(len(images), -1, -1), patches], dim=1) + self.position
        for block in self.blocks:
            x = block(x, None)
        return self.project(self.norm(x))


class TextTower(nn.Module):
    """Word embeddings and two blocks that look both ways; the END token is the pooled one."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(4 + len(vocabulary()), WIDTH)
        nn.init.normal_(self.words.weight, std=0.05)
        self.position = nn.Parameter(torch.randn(1, CONTEXT, WIDTH) * 0.02)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, numbers: Int[Tensor, "B 24"]) -> tuple[Float[Tensor, "B 24 128"], Float[Tensor, "B 128"]]:
        bias = torch.zeros(numbers.shape, device=numbers.device).masked_fill(numbers == PAD, -1e4)[:, None, None, :]
        x = self.words(numbers) + self.position
        for block in self.blocks:
            x = block(x, bias)
        tokens = self.project(self.norm(x))
        ends = (numbers == END).int().argmax(dim=1)
        return tokens, tokens[torch.arange(len(tokens), device=tokens.device), ends]


class ClipNet(nn.Module):
    """Both towers and the scale of the contrastive loss."""

    def __init__(self) -> None:
        super().__init__()
        self.image = ImageTower()
        self.text = TextTower()
        self.log_scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, images: Float[Tensor, "B 3 64 64"], numbers: Int[Tensor, "B 24"]) -> Float[Tensor, ""]:
        """Symmetric contrastive loss of pictures and their captions, in nats (CLIP, Radford et al. 2021)."""
        picture = F.normalize(self.image(images)[:, 0], dim=-1)
        caption = F.normalize(self.text(numbers)[1], dim=-1)
        logits = self.log_scale.clamp(max=4.6).exp() * picture @ caption.T
        truth = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
