"""Tables from CSV and Parquet files: typed columns, and categories as integers."""

import csv
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MISSING = {"", "NA", "NaN", "nan", "null", "NULL", "N/A", "n/a"}


def read_table(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    r"""Columns of a table by name, from a CSV file with a header or a Parquet file.

    Whole numbers are int64, other numbers float64, truth values bool, all else text. What is
    missing is NaN in numbers, which makes them float64, and "" in text. CSV needs nothing else;
    Parquet needs pyarrow (`laminax[data]`).

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: a Parquet file, and pyarrow is not installed.
        ValueError: neither ending; a CSV file without a header, or with rows of other lengths.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "flats.csv")
    ...     _ = path.write_text("rooms,area,town\n2,61.5,Bonn\n3,,Ulm\n")
    ...     table = read_table(path)
    >>> {name: column.tolist() for name, column in table.items()}
    {'rooms': [2, 3], 'area': [61.5, nan], 'town': ['Bonn', 'Ulm']}
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_table: no file at {path}; give the path of a table")
    if path.suffix == ".csv":
        return _csv(path)
    if path.suffix == ".parquet":
        return _parquet(path)
    raise ValueError(f"read_table: {path} must end in .csv or .parquet; rename or convert it")


@dataclass(frozen=True)
class Categories:
    """The values that a column holds in the training split, numbered from 0 in their order.

    A value that training never held is coded `len(categories)`: a row of zeros by
    `jax.nn.one_hot`, one row more in an embedding, and as a label an error.

    >>> towns = Categories.fit(np.array(["Ulm", "Bonn", "Ulm"]))
    >>> towns.encode(["Bonn", "Kiel", "Ulm"]).tolist(), towns.decode([1, 0])
    ([0, 2, 1], ['Ulm', 'Bonn'])
    """

    values: tuple[Any, ...]

    @classmethod
    def fit(cls, column: Iterable[Any]) -> "Categories":
        """Return the categories of a column of the training split.

        Raises:
            ValueError: a column without values.
        """
        values = tuple(np.unique(np.asarray(column)).tolist())
        if not values:
            raise ValueError("Categories.fit: the column is empty; give that of the training split")
        return cls(values)

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, column: Iterable[Any]) -> NDArray[np.int32]:
        """Return the numbers of a column's values."""
        number = {value: i for i, value in enumerate(self.values)}
        listed = np.asarray(column).tolist()
        return np.array([number.get(value, len(number)) for value in listed], np.int32)

    def decode(self, numbers: Iterable[Any]) -> list[Any]:
        """Return the values of numbers.

        Raises:
            IndexError: a number of no category.
        """
        return [self.values[int(i)] for i in numbers]


def _csv(path: Path) -> dict[str, NDArray[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    if not header or len(set(header)) < len(header):
        raise ValueError(
            f"read_table: {path} must begin with the names of its columns, each once, got {header}"
        )
    lines = [line for line in lines if line]
    for i, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise ValueError(
                f"read_table: {path}: row {i} has {len(line)} values, the header {len(header)}; "
                "quote values that hold commas"
            )
    return {name: _typed([line[i] for line in lines]) for i, name in enumerate(header)}


def _typed(values: list[str]) -> NDArray[Any]:
    """Return a column in the narrowest of int64, float64, bool and text that holds it."""
    texts = np.array(["" if value in _MISSING else value for value in values], np.str_)
    missing = texts == ""
    if missing.all():
        return np.full(len(texts), np.nan) if len(texts) else texts
    if not missing.any():
        try:
            return texts.astype(np.int64)
        except (ValueError, OverflowError):
            pass
        if np.isin(lower := np.char.lower(texts), ("true", "false")).all():
            return np.array(lower == "true")
    try:
        return np.where(missing, "nan", texts).astype(np.float64)
    except ValueError:
        return texts


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            "read_table: Parquet files are read by pyarrow, which is not installed; pip install "
            '"laminax[data]"'
        )
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    return {name: _from_arrow(table[name]) for name in table.column_names}


def _from_arrow(column: Any) -> NDArray[Any]:
    import pyarrow.types as kinds

    truth, whole = kinds.is_boolean(column.type), kinds.is_integer(column.type)
    if (truth or whole) and not column.null_count:
        return np.asarray(column.to_pylist(), bool if truth else np.int64)
    if truth or whole or kinds.is_floating(column.type) or kinds.is_null(column.type):
        values = [np.nan if value is None else value for value in column.to_pylist()]
        return np.asarray(values, np.float64)
    return np.array(["" if value is None else str(value) for value in column.to_pylist()], np.str_)
