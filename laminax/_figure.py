"""An empty picture, or what to install where there can be none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: float, height: float) -> "Figure":
    """Return an empty figure of that size in inches.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from ._picture import Picture

        return Picture(figsize=(width, height), layout="constrained", dpi=110)
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed; pip install 'laminax[viz]'"
        ) from error
