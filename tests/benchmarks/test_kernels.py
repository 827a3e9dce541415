"""The scripts about our kernels fit the kernels' sources."""

import re
from pathlib import Path

import pytest
from benchmarks.choices.kernels import CHANGES
from benchmarks.choices.operators import PRODUCTS
from benchmarks.report import choice_tables

SOURCES = Path(__file__).resolve().parents[2] / "engine/kernels"


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_build_changes_stands_in_the_source_once(name: str) -> None:
    file, before, after = CHANGES[name]
    assert (SOURCES / file).read_text(encoding="utf-8").count(before) == 1
    assert after != before


def test_the_steps_are_those_that_are_timed() -> None:
    steps = set(re.findall(r"each\((\w+)\)", (SOURCES / "timing.h").read_text(encoding="utf-8")))
    sources = "".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.h"))
    timed = set(re.findall(r"SIMCSE_TIMED\((\w+)\);", sources))
    assert timed | {"outside"} == steps
    assert steps > {*PRODUCTS, *choice_tables._STEPS}


def test_every_build_stands_in_a_table() -> None:
    assert {*choice_tables._TILE, *choice_tables._GELU, *choice_tables._GRANULARITY} == set(CHANGES)
