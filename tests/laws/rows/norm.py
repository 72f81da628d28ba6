"""Rows of normalization."""

from laminax import nn

from ..kinds import BATCH, Row, images, normal, sequence

LAYERS = [
    Row("batch_norm", lambda: nn.batch_norm(), sequence, state=True),
    Row("layer_norm", lambda: nn.layer_norm(), sequence),
    Row("rms_norm", lambda: nn.rms_norm(), sequence),
    Row("group_norm", lambda: nn.group_norm(2), images, cell=False),
    Row("instance_norm", lambda: nn.instance_norm(), lambda: normal(BATCH, 5, 3), cell=False),
    Row("local_response_norm", lambda: nn.local_response_norm(3, alpha=0.5), sequence),
]  # fmt: skip
