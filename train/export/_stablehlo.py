"""Programs for serving in StableHLO, XLA's own portable form.

A folder holds two files: `model.stablehlo`, the program outputs = f(weights, inputs), and
`weights.safetensors`, its weights by path. The program is for serving alone: JAX promises to run it
for some months, while the weights outlive it in a format of their own.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export

from laminax.nn import Layer, Variables

from ..checkpoint import restore, save, writable
from ..checkpoint._files import commit
from ._program import program

_PLATFORMS = ("cpu", "cuda", "tpu", "rocm")


def export_stablehlo(
    folder: str | os.PathLike[str],
    model: Layer,
    variables: Variables,
    x: Any,
    /,
    *,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    **side: Any,
) -> None:
    """Write a model's evaluation as one program for several platforms and batches of any size.

    It needs none of them here, and runs where JAX is, without this library:

        program = jax.export.deserialize(bytearray(Path(folder, "model.stablehlo").read_bytes()))
        weights = safetensors.numpy.load_file(Path(folder, "weights.safetensors"))
        y = program.call(weights, {"x": x})["y"]

    Args:
        folder: where `model.stablehlo` and `weights.safetensors` are written.
        model: the layer.
        variables: its variables, `result.variables`.
        x: an example of its input; a pytree of which only shapes and dtypes are read, but for the
            leading axis, which is the batch's.
        platforms: some of cpu, cuda, rocm, tpu.
        **side: the model's side inputs, with the same leading axis.

    Raises:
        TypeError: no layer, no variables or no arrays.
        ValueError: an unknown platform, an input without a leading axis, variables that are not
            the model's.
        OSError: the folder cannot be written.

    >>> import tempfile, jax.numpy as jnp
    >>> from laminax import nn, train
    >>> model, x = nn.mlp(8, 2), jnp.ones((1, 4))
    >>> variables = model.init(jax.random.key(0), x)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train.export_stablehlo(folder, model, variables, x)
    ...     serve = train.load_stablehlo(folder)
    >>> serve({"x": jnp.ones((3, 4))})["y"].shape
    (3, 2)
    """
    unknown = [name for name in platforms if name not in _PLATFORMS]
    if unknown or isinstance(platforms, str) or not platforms:
        raise ValueError(
            f"export_stablehlo: platforms must be some of {', '.join(_PLATFORMS)}, "
            f"got {platforms!r}; give a tuple, such as ('cpu', 'cuda')"
        )
    made = program("export_stablehlo", model, variables, x, side)
    specs = jax.eval_shape(lambda weights: weights, made.weights)
    exported = jax.export.export(jax.jit(made.run), platforms=tuple(platforms))(specs, made.inputs)
    folder = writable(folder)
    save(folder / "weights.safetensors", made.weights)
    commit(folder / "model.stablehlo", lambda part: _write(part, exported.serialize()))


def load_stablehlo(
    folder: str | os.PathLike[str],
) -> Callable[[Mapping[str, Any]], dict[str, jax.Array]]:
    """Return what `export_stablehlo` wrote: a function from the inputs to the outputs by name.

    It is compiled once for each size of the batch. A program is code: load only your own.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged, or the weights are not those of the program.
    """
    path = Path(folder) / "model.stablehlo"
    if not path.is_file():
        raise FileNotFoundError(
            f"load_stablehlo: no file at {path.absolute()}; give the folder that was given to "
            "export_stablehlo"
        )
    try:
        exported = jax.export.deserialize(bytearray(path.read_bytes()))
    except Exception as error:
        raise ValueError(
            f"load_stablehlo: {path} is damaged, or of another version of JAX: {error}; "
            "export the model anew"
        ) from error
    (specs, _), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    template = jax.tree.map(lambda aval: jax.ShapeDtypeStruct(aval.shape, aval.dtype), specs)
    weights, call = restore(Path(folder) / "weights.safetensors", template), jax.jit(exported.call)
    return lambda inputs: call(weights, dict(inputs))


def _write(path: Path, program: bytes | bytearray) -> None:
    path.write_bytes(program)
