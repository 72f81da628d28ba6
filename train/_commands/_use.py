"""`laminax eval`, `laminax predict`, `laminax export`: what a trained model is for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from laminax._paths import paths

from .._evaluate import predict
from .._report import recipe_name
from ..export import export_onnx, export_stablehlo
from ._folder import Trained


@dataclass(frozen=True)
class Eval(Trained):
    """Print a trained model's scores on what was held out."""

    def run(self) -> None:
        """Test the model as its recipe does.

        Raises:
            ValueError: the recipe has no test of one model.
        """
        (recipe, config), _, variables = self.model("eval")
        if not hasattr(recipe, "test"):
            raise ValueError(
                f"eval: {recipe_name(config)} tests all of its models together, in training; see "
                "result.json"
            )
        recipe.test(replace(config, out=None), variables)


@dataclass(frozen=True, kw_only=True)
class Predict(Trained):
    """Write a trained model's outputs for the inputs in a file."""

    inputs: Path
    """A .npy file of inputs, or a .npz file of arrays named as the model's inputs are."""
    to: Path
    """The file to write: .npy for one array, .npz for outputs that are several."""
    batch_size: int = 1024
    """Examples at a time."""

    def run(self) -> None:
        """Predict, and tell what was written.

        Raises:
            FileNotFoundError: no such file of inputs.
            ValueError: inputs that are not the model's, or a file of another kind.
        """
        run, model, variables = self.model("predict")
        x = _read(self.inputs, run.recipe.inputs(run.config))
        outputs = predict(model, variables, x, batch_size=self.batch_size)
        named = dict(zip(paths(outputs), jax.tree.leaves(outputs), strict=True))
        if self.to.suffix not in (".npy", ".npz") or (self.to.suffix == ".npy" and len(named) > 1):
            raise ValueError(
                f"predict: --to is {self.to}, but the model's outputs are {len(named)} arrays; "
                f"name a file that ends in {'.npy' if len(named) == 1 else '.npz'}"
            )
        if self.to.suffix == ".npy":
            np.save(self.to, *named.values())
        else:
            np.savez(self.to, **{name or "y": value for name, value in named.items()})
        told = ", ".join(f"{name} {value.shape}".strip() for name, value in named.items())
        print(f"{self.to}: {told}")


@dataclass(frozen=True, kw_only=True)
class Export(Trained):
    """Write a trained model as a program that needs none of this library."""

    to: Path
    """A file that ends in .onnx, or a folder, for StableHLO."""

    def run(self) -> None:
        """Export, and tell what was written."""
        run, model, variables = self.model("export")
        inputs = run.recipe.inputs(run.config)
        example = jax.tree.map(lambda spec: np.zeros(spec.shape, spec.dtype), inputs)
        export = export_onnx if self.to.suffix == ".onnx" else export_stablehlo
        export(self.to, model, variables, example)
        shapes = ", ".join(f"{leaf.dtype}{leaf.shape}" for leaf in jax.tree.leaves(inputs))
        print(f"{self.to}: takes {shapes}, with any number of examples in place of 1")


def _read(path: Path, spec: Any) -> Any:
    """Return the inputs in a file, in the structure of `spec`."""
    if not path.is_file():
        raise FileNotFoundError(f"predict: there is no file {path}")
    names, leaves = paths(spec), jax.tree.leaves(spec)
    try:
        file = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"predict: {path} is no .npy or .npz file: {error}") from error
    arrays = dict(file) if hasattr(file, "files") else {"": file}
    if len(names) == 1:
        arrays = dict(zip(names, arrays.values(), strict=False)) if len(arrays) == 1 else arrays
    if set(arrays) != set(names):
        raise ValueError(
            f"predict: {path} holds the arrays {', '.join(map(repr, arrays))}; expected "
            f"{', '.join(map(repr, names))}"
        )
    for name, leaf in zip(names, leaves, strict=True):
        x = arrays[name]
        if x.shape[1:] != leaf.shape[1:] or x.dtype != leaf.dtype:
            wanted = f"{leaf.dtype}{('n', *leaf.shape[1:])}".replace("'", "")
            which = " ".join(filter(None, (str(path), name)))
            raise ValueError(f"predict: {which} is {x.dtype}{x.shape}; expected {wanted}")
    return jax.tree.unflatten(jax.tree.structure(spec), [arrays[name] for name in names])
