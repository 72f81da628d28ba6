"""Torch modules with the names of torchvision, which need not be installed."""

import torch
from torch import nn

VGG = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)}


def alexnet(classes, width):
    sizes = [(3, 1, 11, 4, 2), (1, 3, 5, 1, 2), (3, 6, 3, 1, 1), (6, 4, 3, 1, 1), (4, 4, 3, 1, 1)]
    features = []
    for i, (a, b, kernel, stride, padding) in enumerate(sizes):
        inputs = a * width if i else a
        features += [nn.Conv2d(inputs, b * width, kernel, stride, padding), nn.ReLU()]
        features += [nn.MaxPool2d(3, 2)] if i in (0, 1, 4) else []
    hidden = 64 * width
    classifier = nn.Sequential(
        *(nn.Dropout(0.0), nn.Linear(4 * width * 36, hidden), nn.ReLU()),
        *(nn.Dropout(0.0), nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, classes),
    )
    return Classifier(nn.Sequential(*features), nn.AdaptiveAvgPool2d(6), classifier)


def vgg(depth, classes, width, batch_norm):
    features, inputs = [], 3
    for number, m in zip(VGG[depth], (1, 2, 4, 8, 8), strict=True):
        for _ in range(number):
            features += [nn.Conv2d(inputs, m * width, 3, padding=1)]
            features += [nn.BatchNorm2d(m * width)] if batch_norm else []
            features += [nn.ReLU()]
            inputs = m * width
        features += [nn.MaxPool2d(2)]
    hidden = 64 * width
    classifier = nn.Sequential(
        *(nn.Linear(inputs * 49, hidden), nn.ReLU(), nn.Dropout(0.0)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.0)),
        nn.Linear(hidden, classes),
    )
    return Classifier(nn.Sequential(*features), nn.AdaptiveAvgPool2d(7), classifier)


class Classifier(nn.Module):
    def __init__(self, features, avgpool, classifier):
        super().__init__()
        self.features, self.avgpool, self.classifier = features, avgpool, classifier

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Block(nn.Module):
    """Two 3×3 convolutions, or with `growth` four the bottleneck of three."""

    def __init__(self, inputs, features, stride, growth):
        super().__init__()
        sizes = [(inputs, features, 3, stride), (features, features, 3, 1)]
        if growth == 4:
            sizes = [
                *((inputs, features, 1, 1), (features, features, 3, stride)),
                (features, 4 * features, 1, 1),
            ]
        self.number = len(sizes)
        for i, (a, b, kernel, step) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.downsample = None
        if stride > 1 or inputs != growth * features:
            convolution = nn.Conv2d(inputs, growth * features, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(growth * features))

    def forward(self, x):
        y = x
        for i in range(1, self.number + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = torch.relu(y) if i < self.number else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, growth, classes, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages, inputs = len(blocks), width
        for i, number in enumerate(blocks):
            stage = []
            for j in range(number):
                stage += [Block(inputs, width * 2**i, 2 if i and not j else 1, growth)]
                inputs = growth * width * 2**i
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean((2, 3)))


def shuffled(module, seed=0):
    """Return the module with every norm, and its running statistics, away from the identity."""
    generator = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            for tensor, low, high in (
                *((m.weight, 0.8, 1.2), (m.bias, -0.3, 0.3)),
                *((m.running_mean, -0.3, 0.3), (m.running_var, 0.5, 1.5)),
            ):
                tensor.data.uniform_(low, high, generator=generator)
    return module
