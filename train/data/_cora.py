"""Cora: papers that cite one another, their words and their topics, as arrays of a graph."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._located import given

_KEYS = (
    *("features_indptr", "features_indices", "features_shape"),
    *("labels", "edges", "train", "val", "test"),
)


class Graph(NamedTuple):
    """Nodes with features and a class, and directed edges between them.

    Attributes:
        name: of the graph.
        x: float32 (nodes, features).
        y: int32 (nodes,), that counts into the classes.
        edges: int32 (edges, 2): from, to.
        train: int32, the rows of the nodes to train on.
        validation: int32, those to choose by.
        test: int32, those to report.
    """

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.int32]
    edges: NDArray[np.int32]
    train: NDArray[np.int32]
    validation: NDArray[np.int32]
    test: NDArray[np.int32]


def cora() -> Graph:
    """Cora: 2,708 papers on seven topics, which of 1,433 words each holds, 10,556 citations.

    Every citation is there in both directions. The split is the public one: 20 papers a topic to
    train on, 500 to validate, 1,000 to test. Read from `$LAMINAX_DATA/cora/cora.npz`, the features
    as sparse rows (`features_indptr`, `features_indices`, `features_shape`).

    Raises:
        FileNotFoundError: `LAMINAX_DATA` is not set, or the file is missing there.
        ValueError: the file is not Cora's.

    >>> cora().x.shape  # doctest: +SKIP
    (2708, 1433)

    Source: Sen et al., Collective classification in network data, 2008; the split: Yang, Cohen and
    Salakhutdinov, Revisiting semi-supervised learning with graph embeddings, 2016.
    """
    (path,) = given("cora", ["cora.npz"])
    with np.load(path, allow_pickle=False) as file:
        if missing := sorted(set(_KEYS) - set(file)):
            raise ValueError(
                f"cora: {path} holds no {', '.join(missing)}; put Cora's own file in its place"
            )
        starts, columns, shape, y, edges, *rows = (file[key] for key in _KEYS)
    sizes = (*shape.tolist(), len(y), len(edges), *map(len, rows))
    expected = (2708, 1433, 2708, 10_556, 140, 500, 1000)
    if sizes != expected:
        raise ValueError(
            f"cora: {path} holds (nodes, features, labels, edges, train, val, test) = {sizes}, "
            f"expected {expected}; put Cora's own file in its place"
        )
    x = np.zeros(shape, np.float32)
    x[np.repeat(np.arange(len(x)), np.diff(starts)), columns] = 1
    return Graph("cora", x, *(array.astype(np.int32) for array in (y, edges, *rows)))
