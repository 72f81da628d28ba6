"""Trained models as programs for serving, which run without this library."""

from ._onnx import export_onnx as export_onnx
from ._stablehlo import export_stablehlo as export_stablehlo
from ._stablehlo import load_stablehlo as load_stablehlo
