"""Rows of convolutions and pooling."""

from laminax import nn

from ..kinds import BATCH, Row, images, normal

LAYERS = [
    Row("conv", lambda: nn.conv(2, 3), lambda: normal(BATCH, 7, 3), "1d", cell=False),
    Row("conv", lambda: nn.conv(6, 3, padding="valid"), images, "valid", cell=False),
    Row("conv", lambda: nn.conv(6, (3, 2), stride=2, bias=False), images, "stride", cell=False),
    Row("conv", lambda: nn.conv(6, 3, dilation=2, groups=2), images, "groups", cell=False),
    Row("conv", lambda: nn.conv(2, 2), lambda: normal(BATCH, 3, 4, 3, 2), "3d", cell=False),
    Row("depthwise_conv", lambda: nn.depthwise_conv(3, 2, stride=2), images, cell=False),
    Row("separable_conv", lambda: nn.separable_conv(3, 2), images, cell=False),
    Row("conv_transpose", lambda: nn.conv_transpose(3, 3, 2), images, cell=False),
    Row("conv_transpose", lambda: nn.conv_transpose(2, 2, groups=2), images, "groups", cell=False),
    Row("local_conv", lambda: nn.local_conv(2, 2, stride=3), images, cell=False),
    Row("upsample", lambda: nn.upsample((2, 1)), images, cell=False),
    Row("upsample", lambda: nn.upsample(2, "linear"), images, "linear", cell=False),
    Row("adaptive_avg_pool", lambda: nn.adaptive_avg_pool((4, 3)), images, cell=False),
    Row("adaptive_max_pool", lambda: nn.adaptive_max_pool((4, 3)), images, cell=False),
    Row("subsample", lambda: nn.subsample(2), images, cell=False),
    Row("max_pool", lambda: nn.max_pool(2), images, cell=False),
    Row("max_pool", lambda: nn.max_pool(3, stride=2), images, "overlapping", cell=False),
    Row("avg_pool", lambda: nn.avg_pool(2), images, cell=False),
    Row("avg_pool", lambda: nn.avg_pool(3, stride=2), images, "overlapping", cell=False),
    Row("global_max_pool", lambda: nn.global_max_pool(), images, cell=False),
    Row("global_avg_pool", lambda: nn.global_avg_pool(), images, cell=False),
]  # fmt: skip
