"""A matplotlib figure that shows itself in a notebook, whatever backend is set."""

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure without global state: shown where a cell ends with it, or saved by `savefig`."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
