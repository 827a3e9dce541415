"""How wide texts are on a terminal, where a Chinese character takes two columns and an accent none."""

import unicodedata


def width_of(text: str) -> int:
    """The columns that a line takes."""
    return sum(map(_columns, text))


def fitted(text: str, width: int) -> str:
    """A line of just so many columns: filled up with spaces at its end, or cut with an ellipsis."""
    if width_of(text) > width:
        while width_of(text) >= width:
            text = text[:-1]
        text += "…"
    return text + " " * (width - width_of(text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
