from pathlib import Path

import pytest
from benchmarks.search import corpus

DOCSTRINGS = '''
"""Searches vectors that were stored before.

It compares them with :class:`~a.b.Query` objects, e.g. those of a user. The result is a list of ``hits``!

Args:
    rows: The rows that are compared with each of the queries.

>>> search("This is an example that is not a sentence.")
* A list of the things that are not sentences either.
"""


def search():
    """Too short.

    An url is at https://example.org and is no prose for the search.
    """
    return "It is a string that is not a docstring at all."
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "module.py"
    path.write_text(DOCSTRINGS, encoding="utf-8")
    return path


def test_sentences_of_prose_are_found_and_nothing_else(module: Path) -> None:
    assert list(corpus._sentences(module)) == [
        "Searches vectors that were stored before.",
        "It compares them with Query objects, e.g. those of a user.",
        "The result is a list of hits!",
    ]


def test_a_file_that_does_not_parse_has_none(module: Path) -> None:
    module.write_text('"""It is a sentence of some words."""\ndef', encoding="utf-8")
    assert list(corpus._sentences(module)) == []


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ("License-Expression: BSD-3-Clause", "BSD-3-Clause"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: Apache 2.0", "Apache 2.0"),
        ("License-Expression: MPL-2.0 AND MIT", None),
        ("License: MIT\nClassifier: License :: OSI Approved :: GNU General Public License (GPL)", None),
        ("License: Proprietary", None),
        ("Summary: under the MIT License, says the summary", None),
    ],
)
def test_a_package_counts_by_the_licence_in_its_metadata(tmp_path: Path, fields: str, licence: str | None) -> None:
    folder = tmp_path / "a-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: a\nVersion: 1\n{fields}\n", encoding="utf-8")
    (package,) = corpus.distributions(path=[str(tmp_path)])
    assert corpus._licence(package) == licence


def test_sentences_that_differ_in_numbers_and_case_alone_are_one() -> None:
    assert corpus._essence("It has 3 Rows, at most.") == corpus._essence("It has 12 rows at most!")
