"""Tables of text, and the same in HTML for notebooks."""

import html
from collections.abc import Iterable, Sequence

Line = Sequence[str]


def text_table(head: Line, lines: Iterable[Line], left: int) -> list[str]:
    """Return aligned lines under a head and a rule: the first `left` columns to the left."""
    rows = [head, *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = [
        "  ".join(
            f"{cell:<{width}}" if i < left else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [text[0], "─" * max(map(len, text)), *text[1:]]


def html_table(head: Line, lines: Iterable[Line]) -> str:
    """Return the table as an HTML element."""
    return f"<table>{_row('th', head)}{''.join(_row('td', line) for line in lines)}</table>"


def _row(tag: str, cells: Line) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
