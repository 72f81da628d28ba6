"""The zoo's models of vectors and of tokens in torch, by the names of Laminax's factories."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


def mlp(*features: int) -> nn.Module:
    layers = [part for size in features for part in (nn.LazyLinear(size), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def autoencoder(*features: int) -> nn.Module:
    parts = []
    for sizes in (features, features[::-1]):
        for a, b in pairwise(sizes):
            parts += [nn.Linear(a, b), nn.ReLU()]
        parts.pop()
    return nn.Sequential(*parts)


class vae(nn.Module):  # noqa: N801
    def __init__(self, latent: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.encoder, self.decoder = _hidden(outputs, hidden), _hidden(latent, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        z = mean = self.mean(h)
        log_variance = self.log_variance(h)
        if self.training:
            z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.out(self.decoder(z)), mean, log_variance


class language_model(nn.Module):  # noqa: N801
    def __init__(self, vocabulary: int, *, features: int, cell: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, features)
        self.projection = nn.Linear(features, features)
        self.cells = _CELLS[cell](features, features, num_layers=2, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.cells(self.embed(tokens))[0]
        return functional.linear(self.projection(h), self.embed.weight)


class seq2seq(nn.Module):  # noqa: N801
    def __init__(self, source: int, target: int, *, features: int, cell: str) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(source, features), nn.Embedding(target, features)
        layer = _CELLS[cell]
        self.encoder = layer(features, features, batch_first=True)
        self.decoder = layer(features, features, batch_first=True)
        self.out = nn.Linear(features, target)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        carry = self.encoder(self.source(x[0]))[1]
        return self.out(self.decoder(self.target(x[1]), carry)[0])


class gpt(nn.Module):  # noqa: N801
    def __init__(
        self, vocabulary: int, *, layers: int, heads: int, features: int, context: int
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, features)
        self.positions = nn.Embedding(context, features)
        act = nn.GELU(approximate="tanh")
        blocks = (Block(features, heads, 4 * features, act, causal=True) for _ in range(layers))
        self.blocks, self.norm = nn.Sequential(*blocks), nn.LayerNorm(features)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.positions.weight[: tokens.shape[1]]
        return functional.linear(self.norm(self.blocks(x)), self.embed.weight)


class bert_mlm(nn.Module):  # noqa: N801
    def __init__(
        self, vocabulary: int, *, layers: int, heads: int, features: int, context: int = 512
    ) -> None:
        super().__init__()
        self.embed, self.segments = nn.Embedding(vocabulary, features), nn.Embedding(2, features)
        self.positions, self.norm = nn.Embedding(context, features), nn.LayerNorm(features, 1e-12)
        sizes = features, heads, 4 * features, nn.GELU()
        self.blocks = nn.Sequential(*(Block(*sizes, post_norm=True) for _ in range(layers)))
        last = nn.LayerNorm(features, 1e-12)
        self.readout = nn.Sequential(nn.Linear(features, features), nn.GELU(), last)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.segments(torch.zeros_like(tokens))
        x = self.norm(x + self.positions.weight[: tokens.shape[1]])
        return functional.linear(self.readout(self.blocks(x)), self.embed.weight, self.bias)


class transformer(nn.Module):  # noqa: N801
    def __init__(
        self, source: int, target: int, *, layers: int, heads: int, features: int, hidden: int
    ) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(source, features), nn.Embedding(target, features)
        sizes, post = (features, heads, hidden, nn.ReLU()), {"post_norm": True}
        self.encoder = nn.Sequential(*(Block(*sizes, **post) for _ in range(layers)))
        self.decoder = nn.ModuleList(
            Block(*sizes, **post, causal=True, cross=True) for _ in range(layers)
        )
        half = torch.arange(0, features, 2) / features
        angle = torch.arange(512)[:, None] / 10_000**half
        waves = torch.stack((angle.sin(), angle.cos()), -1).flatten(1)
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        memory = self.encoder(self.embedded(self.source, x[0]))
        h = self.embedded(self.target, x[1])
        for block in self.decoder:
            h = block(h, memory)
        return functional.linear(h, self.target.weight)

    def embedded(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        x = table(tokens)
        return x * x.shape[-1] ** 0.5 + self.waves[: x.shape[1]]


class Block(nn.Module):
    """A block of a transformer: attention, perhaps attention to a memory, and a small MLP."""

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int,
        activation: nn.Module,
        *,
        causal: bool = False,
        cross: bool = False,
        post_norm: bool = False,
    ) -> None:
        super().__init__()
        self.attention = _Attention(features, heads, causal)
        self.cross = _Attention(features, heads, False) if cross else None
        self.mlp = nn.Sequential(
            nn.Linear(features, hidden), activation, nn.Linear(hidden, features)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(3 if cross else 2))
        self.post_norm = post_norm

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        x = self.around(0, self.attention, x)
        if self.cross is not None:
            x = self.around(1, self.cross, x, memory)
        return self.around(-1, self.mlp, x)

    def around(self, i: int, f: Callable[..., Tensor], x: Tensor, *memory: Any) -> Tensor:
        norm = self.norms[i]
        return norm(x + f(x, *memory)) if self.post_norm else x + f(norm(x), *memory)


class _Attention(nn.Module):
    def __init__(self, features: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        if memory is None:
            qkv = self.qkv(x).chunk(3, -1)
        else:
            n, w, b = x.shape[-1], self.qkv.weight, self.qkv.bias
            kv = functional.linear(memory, w[n:], b[n:]).chunk(2, -1)
            qkv = (functional.linear(x, w[:n], b[:n]), *kv)
        q, k, v = (a.unflatten(-1, (self.heads, -1)).transpose(1, 2) for a in qkv)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).flatten(2))


def _hidden(inputs: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
