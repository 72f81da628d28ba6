import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from laminax.train.data import cora

DATA = os.environ.get("LAMINAX_DATA")


@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
def test_cora_facts():
    graph = cora()
    assert graph.x.shape == (2708, 1433) and graph.x.dtype == np.float32
    assert set(np.unique(graph.x)) == {0, 1} and len(np.unique(graph.y)) == 7
    with np.load(Path(str(DATA), "cora", "cora.npz")) as file:
        columns, starts = file["features_indices"], file["features_indptr"]
        rows = sparse.csr_array((np.ones(len(columns), np.float32), columns, starts), (2708, 1433))
    np.testing.assert_array_equal(graph.x, rows.toarray())
    np.testing.assert_array_equal(np.bincount(graph.y[graph.train]), [20] * 7)
    parts = [set(part.tolist()) for part in graph[4:]]
    assert [len(part) for part in parts] == [140, 500, 1000] and len(set.union(*parts)) == 1640
    edges = {(int(a), int(b)) for a, b in graph.edges}
    assert len(edges) == 10_556 and all((b, a) in edges for a, b in edges)
    same = (graph.y[graph.edges[:, 0]] == graph.y[graph.edges[:, 1]]).mean()
    assert 0.78 < same < 0.84  # papers cite their own topic
    assert all(part.dtype == np.int32 for part in graph[2:])


def test_a_file_that_is_not_coras(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    (tmp_path / "cora").mkdir()
    arrays = {"features_indptr": [0, 1], "features_indices": [0], "features_shape": [1, 1]}
    np.savez(tmp_path / "cora" / "cora.npz", **arrays)
    with pytest.raises(ValueError, match=r"cora.npz holds no edges, labels, test, train, val"):
        cora()
    more = dict.fromkeys(("labels", "edges", "train", "val", "test"), np.zeros(1, int))
    np.savez(tmp_path / "cora" / "cora.npz", **arrays, **more)
    with pytest.raises(ValueError, match=r"= \(1, 1, 1, 1, 1, 1, 1\), expected \(2708, 1433, 2708"):
        cora()
