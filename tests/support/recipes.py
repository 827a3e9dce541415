"""The recipes of docs/scale.md, which need their frameworks: blocks that no other test runs."""

import re
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs/scale.md"
_BLOCK = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipe(framework: str) -> str:
    """The code under the heading that names a framework; it takes ``artifact``, ``texts`` and ``vectors``."""
    (section,) = (part for part in _PAGE.read_text(encoding="utf-8").split("\n## ") if f"use {framework}?" in part)
    (code,) = _BLOCK.findall(section)
    return str(code)
