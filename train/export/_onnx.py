"""Programs for serving in ONNX, by jax2onnx (the `onnx` extra), weights included."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.extend.core import Jaxpr, jaxpr_as_fun, jaxprs_in_params

from laminax.nn import Layer, Variables

from ..checkpoint import writable
from ..checkpoint._files import commit
from ._portable import portable
from ._program import program

_DRAWING = {"random_bits", "random_gamma", "rng_bit_generator", "rng_uniform", "threefry2x32"}


def export_onnx(
    path: str | os.PathLike[str],
    model: Layer,
    variables: Variables,
    x: Any,
    /,
    **side: Any,
) -> None:
    """Write a model's evaluation as one ONNX file, for a batch of any size.

    Inputs and outputs have names: "x" and "y", of a pytree "y/0" and so on, and side inputs their
    own: `onnxruntime.InferenceSession(path).run(None, {"x": x})`. Numbers agree with the model's
    within rounding. Files end at 2 GB, weights included.

    Args:
        path: the file to write.
        model: the layer.
        variables: its variables, `result.variables`.
        x: an example of its input; a pytree of which only shapes and dtypes are read, but for the
            leading axis, which is the batch's.
        **side: the model's side inputs, with the same leading axis.

    Raises:
        TypeError: no layer, no variables or no arrays.
        ValueError: an input without a leading axis, variables that are not the model's.
        NotImplementedError: the model computes what jax2onnx lacks; names the primitive.
        ImportError: jax2onnx is missing.
        OSError: the file cannot be written.

    >>> import pathlib, tempfile, jax.numpy as jnp
    >>> from laminax import nn, train
    >>> model, x = nn.mlp(8, 2), jnp.ones((1, 4))
    >>> variables = model.init(jax.random.key(0), x)
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     train.export_onnx(f"{folder}/model.onnx", model, variables, x)
    ...     [file.name for file in pathlib.Path(folder).iterdir()]
    ['model.onnx']
    """
    try:
        import onnx
        from jax2onnx import to_onnx
    except ImportError as error:
        raise ImportError(
            "export_onnx needs jax2onnx, which is not installed; pip install 'laminax[onnx]'"
        ) from error
    made = program("export_onnx", model, variables, x, side)
    # Traced here: jax2onnx replaces functions of JAX while it traces, on which the checks stumble.
    closed, outputs = jax.make_jaxpr(lambda x: made.run(made.weights, x), return_shape=True)(
        made.inputs
    )
    whole, names = portable(closed), sorted(made.inputs)
    _check_drawn(whole.jaxpr)
    try:
        with _unchanged_jax():
            proto = to_onnx(
                jaxpr_as_fun(whole),
                inputs=[made.inputs[name] for name in names],
                input_names=names,
                output_names=sorted(outputs),
                model_name=model.name,
            )
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:
        raise NotImplementedError(
            f"export_onnx: jax2onnx cannot write this model's primitive {_primitive(error)!r}: "
            f"{error}; compute that part otherwise, or serve it by export_stablehlo"
        ) from error
    writable(Path(path).parent)
    commit(Path(path), lambda part: _write(part, proto.SerializeToString()))


@contextlib.contextmanager
def _unchanged_jax() -> Iterator[None]:
    """Put back what jax2onnx leaves replaced in JAX; version 0.17 does not put back `cumsum`."""
    public = [
        module
        for name, module in sys.modules.items()
        if name.split(".")[0] == "jax" and not name.startswith("jax._src")
    ]
    before = [dict(vars(module)) for module in public]
    try:
        yield
    finally:
        for module, names in zip(public, before, strict=True):
            vars(module).update(names)


def _check_drawn(program: Jaxpr) -> None:
    """Raise where random numbers are drawn: jax2onnx would let ONNX draw others."""
    for equation in program.eqns:
        name = equation.primitive.name
        if name in _DRAWING:
            raise NotImplementedError(
                f"export_onnx: the model draws random numbers by the primitive {name!r}, and ONNX "
                "has no generator of the same; give them as an input, or use export_stablehlo"
            )
        for inner in jaxprs_in_params(equation.params):
            _check_drawn(inner)


def _primitive(error: Exception) -> str:
    """Return the name of the primitive that was being written."""
    equations = (frame.f_locals.get("eqn") for frame, _ in traceback.walk_tb(error.__traceback__))
    names = [equation.primitive.name for equation in equations if equation is not None]
    return names[-1] if names else "unknown"


def _write(path: Path, program: bytes) -> None:
    path.write_bytes(program)
