import numpy as np
import pytest

from laminax.train.data import Categories, read_table

TEXT = """id,area,town,sold,note,empty,grade
1,61.5,Bonn,true,"a, b",,3
2,,Ulm,False,,,
3,1e3,"Köln ",TRUE,say ""no"",NA,4
"""


@pytest.fixture
def csv(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def assert_same(table, expected):
    assert list(table) == list(expected)
    for name, column in expected.items():
        assert table[name].dtype.kind == column.dtype.kind, name
        np.testing.assert_array_equal(table[name], column)


EXPECTED = {
    "id": np.array([1, 2, 3]),
    "area": np.array([61.5, np.nan, 1000.0]),
    "town": np.array(["Bonn", "Ulm", "Köln "]),
    "sold": np.array([True, False, True]),
    "note": np.array(["a, b", "", 'say "no"']),
    "empty": np.full(3, np.nan),
    "grade": np.array([3.0, np.nan, 4.0]),
}


def test_csv_columns_are_typed(csv):
    quoted = TEXT.replace('say ""no""', '"say ""no"""')
    assert_same(read_table(csv(quoted)), EXPECTED)
    assert_same(read_table(csv("\ufeff" + quoted + "\n")), EXPECTED)  # as spreadsheets write it
    table = read_table(csv("a,b\n"))
    assert list(table) == ["a", "b"] and len(table["a"]) == 0
    large = read_table(csv("a,b\n99999999999999999999,1\n2,x\n"))
    assert large["a"].dtype == np.float64 and large["b"].tolist() == ["1", "x"]


def test_csv_is_what_pyarrow_reads(csv):
    pa_csv = pytest.importorskip("pyarrow.csv")
    random = np.random.default_rng(0)
    lines = [
        f"{random.integers(100)},{random.normal()!r},{'' if random.random() < 0.3 else 0.5}"
        for _ in range(50)
    ]
    path = csv("a,b,c\n" + "\n".join(lines).replace("np.float64(", "").replace(")", "") + "\n")
    reference = pa_csv.read_csv(path)
    for name, column in read_table(path).items():
        theirs = reference[name].to_numpy()
        assert column.dtype == theirs.dtype, name
        np.testing.assert_array_equal(column, theirs)


def test_parquet_columns_are_those_of_csv(csv, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "id": pa.array([1, 2, 3], pa.int32()),
        "area": pa.array([61.5, None, 1000.0], pa.float32()),
        "town": pa.array(["Bonn", "Ulm", "Köln "]).dictionary_encode(),
        "sold": [True, False, True],
        "note": ["a, b", None, 'say "no"'],
        "empty": pa.nulls(3),
        "grade": pa.array([3, None, 4], pa.int64()),
    }
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    assert_same(read_table(tmp_path / "table.parquet"), EXPECTED)


def test_files_that_are_no_tables(csv, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_table: no file at .*none.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"must end in .csv or .parquet"):
        read_table(csv("a\n1\n", "table.txt"))
    with pytest.raises(ValueError, match=r"row 3 has 1 values, the header 2; quote"):
        read_table(csv("a,b\n1,2\n3\n"))
    for text in ("", "a,a\n1,2\n"):
        with pytest.raises(ValueError, match="must begin with the names of its columns, each once"):
            read_table(csv(text))


def test_categories_are_scikit_learns_codes():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    random = np.random.default_rng(0)
    train, test = (random.choice(list("gabexy")[:k], (60, 1)) for k in (4, 6))
    reference = preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=4, dtype=np.int32
    ).fit(train)
    categories = Categories.fit(train[:, 0])
    assert len(categories) == 4
    for column in (train, test):
        codes = categories.encode(column[:, 0])
        assert codes.dtype == np.int32
        np.testing.assert_array_equal(codes, reference.transform(column)[:, 0])
    assert categories.decode(categories.encode(train[:, 0])) == train[:, 0].tolist()


def test_categories_of_numbers():
    categories = Categories.fit(np.array([7, 3, 7]))
    assert categories.values == (3, 7) and categories.encode([7, 5, 3]).tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match=r"Categories.fit: the column is empty"):
        Categories.fit([])
    with pytest.raises(IndexError):
        categories.decode([2])
