"""The zoo's image models in torch, by the names and signatures of Laminax's factories."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .zoo_torch_vectors import Block


def lenet(classes: int = 10) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


class lenet5(nn.Module):  # noqa: N801
    # The maps of S2 that each map of C3 sees.
    SEEN = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"

    def __init__(self) -> None:
        super().__init__()
        pairs = [(int(i), o) for o, seen in enumerate(self.SEEN.split()) for i in seen]
        self.below, self.above = map(list, zip(*pairs, strict=True))
        self.c1, self.c5, self.f6 = nn.Conv2d(1, 6, 5), nn.Conv2d(16, 120, 5), nn.Linear(120, 84)
        self.w3 = nn.Parameter(torch.randn(60, 5, 5) / 10)
        self.b3 = nn.Parameter(torch.zeros(16))
        self.s2, self.s4 = (nn.Parameter(torch.rand(2, n, 1, 1) / 4) for n in (6, 16))
        self.register_buffer("codes", torch.randn(10, 84).sign())

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(1.275 * x - 0.1, (2, 2, 2, 2), value=-0.1)
        x = self.pooled(self.squash(self.c1(x)), self.s2)
        w3 = x.new_zeros(16, 6, 5, 5).index_put(self.indices(), self.w3)
        x = self.pooled(self.squash(functional.conv2d(x, w3, self.b3)), self.s4)
        x = self.squash(self.f6(self.squash(self.c5(x)).flatten(1)))
        return -(x[:, None] - self.codes).square().sum(-1)

    def indices(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.above), torch.tensor(self.below)

    def pooled(self, x: Tensor, s: Tensor) -> Tensor:
        return self.squash(4 * functional.avg_pool2d(x, 2) * s[0] + s[1])

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


def alexnet(*, classes: int = 1000, width: int = 64) -> nn.Module:
    a, b, c, d, n = width, 3 * width, 6 * width, 4 * width, 64 * width
    return nn.Sequential(
        *(nn.Conv2d(3, a, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(b, c, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(c, d, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(d, d, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(36 * d, n), nn.ReLU()),
        *(nn.Dropout(), nn.Linear(n, n), nn.ReLU(), nn.Linear(n, classes)),
    )


def vgg(depth: int, *, classes: int = 1000, width: int = 64) -> nn.Module:
    blocks = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)}[depth]
    sizes, layers = [3], []
    for i, number in enumerate(blocks):
        for _ in range(number):
            sizes.append(width * min(2**i, 8))
            layers += [nn.Conv2d(*sizes[-2:], 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for a, b in pairwise((49 * sizes[-1], 64 * width, 64 * width)):
        layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(64 * width, classes))


def resnet(depth: int, *, classes: int = 1000, width: int = 64) -> nn.Module:
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}[depth]
    growth, layers = 4 if depth >= 50 else 1, []
    for i, number in enumerate(blocks):
        n = width * 2**i
        for j in range(number):
            stride = 2 if i and not j else 1
            first, last = ((1, 1, n), (1, 1, 4 * n)) if growth == 4 else ((), (3, 1, n))
            branch = [first, (3, stride, n), last] if first else [(3, stride, n), last]
            changes = not j and (stride > 1 or growth > 1)
            shortcut = nn.Sequential(*_normed(growth * n, 1, stride)) if changes else nn.Identity()
            layers.append(_Residual(branch, shortcut))
    stem = *_normed(width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    return nn.Sequential(*stem, *layers, *_head(classes))


def cifar_resnet(depth: int, *, classes: int = 10, width: int = 16) -> nn.Module:
    layers = []
    for i in range(3):
        for j in range((depth - 2) // 6):
            stride, n = 2 if i and not j else 1, width * 2**i
            shortcut = _Subsampled(n) if stride > 1 else nn.Identity()
            layers.append(_Residual([(3, stride, n), (3, 1, n)], shortcut))
    return nn.Sequential(*_normed(width, 3), nn.ReLU(), *layers, *_head(classes))


class unet(nn.Sequential):  # noqa: N801
    def __init__(self, classes: int, *, depth: int = 4, width: int = 64) -> None:
        super().__init__(_Level(depth, width), nn.Conv2d(width, classes, 1))


class vit(nn.Module):  # noqa: N801
    def __init__(
        self, classes: int, *, heads: int, features: int, layers: int = 12, patch: int = 16
    ) -> None:
        super().__init__()
        self.patches = nn.LazyConv2d(features, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, features))
        self.positions = nn.Parameter(0.02 * torch.randn((224 // patch) ** 2 + 1, features))
        blocks = (Block(features, heads, 4 * features, nn.GELU()) for _ in range(layers))
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(features, 1e-6), nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class _Residual(nn.Module):
    def __init__(self, branch: list[tuple[int, int, int]], shortcut: nn.Module) -> None:
        super().__init__()
        parts = [
            part
            for kernel, stride, n in branch
            for part in (*_normed(n, kernel, stride), nn.ReLU())
        ]
        self.branch, self.shortcut = nn.Sequential(*parts[:-1]), shortcut

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.shortcut(x) + self.branch(x))


class _Subsampled(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.features - x.shape[1]))


class _Level(nn.Module):
    def __init__(self, depth: int, features: int) -> None:
        super().__init__()
        self.contract, self.depth = _twice(features), depth
        if depth:
            # The maximum, what is below, and twice as many pixels again.
            up = nn.Upsample(scale_factor=2), nn.ZeroPad2d((0, 1, 0, 1)), nn.LazyConv2d(features, 2)
            self.below = nn.Sequential(nn.MaxPool2d(2), _Level(depth - 1, 2 * features), *up)
            self.expand = _twice(features)

    def forward(self, x: Tensor) -> Tensor:
        h = self.contract(x)
        return self.expand(torch.cat((h, self.below(h)), 1)) if self.depth else h


def _twice(features: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.LazyConv2d(features, 3, padding=1), nn.ReLU()),
        *(nn.LazyConv2d(features, 3, padding=1), nn.ReLU()),
    )


def _normed(features: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    conv = nn.LazyConv2d(features, kernel, stride, kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(features)


def _head(classes: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(classes)
