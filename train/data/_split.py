"""Row counts of a data set, and a split of it in two parts that share no example."""

from typing import Any, TypeVar

import jax
import numpy as np

Tree = TypeVar("Tree")


def rows(data: Any) -> int:
    """Number of examples in `data`: the leading axis that all its arrays have in common.

    Raises:
        ValueError: there is no array, no example, an array without axes, or two arrays of
            different lengths; each is named by its path.

    >>> import numpy as np
    >>> rows({"x": np.zeros((5, 2)), "y": np.zeros(5)})
    5
    """
    leaves = jax.tree.leaves_with_path(data)
    if not leaves:
        raise ValueError("data: the data holds no arrays; give a pytree of arrays such as (x, y).")
    shapes = {_path(keys): np.shape(leaf) for keys, leaf in leaves}
    flat = [path for path, shape in shapes.items() if not shape]
    if flat:
        raise ValueError(
            f"data: {', '.join(flat)} has no axes; every array of the data needs a leading axis of"
            " examples. Keep constants out of the data."
        )
    lengths = {path: shape[0] for path, shape in shapes.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{path} has {length}" for path, length in lengths.items())
        raise ValueError(
            f"data: the arrays differ in length: {found}; one row of each is one example, so all"
            " leading axes must be equal."
        )
    n: int = next(iter(lengths.values()))
    if n == 0:
        raise ValueError(
            f"data: the data is empty, {next(iter(lengths))} has shape"
            f" {next(iter(shapes.values()))}; give at least one example."
        )
    return n


def split(data: Tree, fraction: float = 0.7, seed: int = 0) -> tuple[Tree, Tree]:
    """Two shuffled parts of `data`, round(fraction·n) examples and the rest, with none in both.

    The same seed gives the same parts on every machine, for all arrays of `data` alike.

    Args:
        data: pytree of arrays with a common leading axis.
        fraction: share of the first part, strictly between 0 and 1.
        seed: of the shuffle, 0 ≤ seed < 2³².

    Raises:
        ValueError: empty data, leading axes that differ, `fraction` out of range, or so few
            examples that a part would be empty.

    >>> import numpy as np
    >>> train, test = split({"x": np.arange(10), "y": np.arange(10) ** 2})
    >>> len(train["x"]), len(test["x"]), sorted({*train["x"].tolist(), *test["x"].tolist()})
    (7, 3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    >>> bool((train["y"] == train["x"] ** 2).all())
    True
    """
    if not 0 < fraction < 1:
        raise ValueError(
            f"split: fraction is {fraction}; the share of the first part lies strictly between"
            " 0 and 1: give 0.7, for example."
        )
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"split: seed must be an integer in [0, 2³²), got {seed!r}")
    n = rows(data)
    first = round(fraction * n)
    if not 0 < first < n:
        raise ValueError(
            f"split: {n} examples at fraction {fraction} leave one part empty ({first} and"
            f" {n - first}); give more examples or another fraction."
        )
    # The legacy generator, because NumPy freezes its stream and no other.
    order = np.random.RandomState(seed).permutation(n)

    def part(chosen: Any) -> Tree:
        taken: Tree = jax.tree.map(lambda a: a[chosen], data)
        return taken

    return part(order[:first]), part(order[first:])


def _path(keys: Any) -> str:
    return "/".join(filter(None, ["data", jax.tree_util.keystr(keys, simple=True, separator="/")]))
