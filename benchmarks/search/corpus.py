"""Real sentences that a machine has already: those of the docstrings of Python's library and of installed packages.

Taken are the packages whose own metadata name a permissive licence and no other. Nothing of them is kept in the
repository: the sentences are collected where a benchmark needs them, and lie in `.bench/`.

    python -m benchmarks.search.corpus                  how many there are, by package, and a few of them
"""

import ast
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from ..record import ROOT
from ..turns import no_options

_PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|HPND|Unlicense|0BSD|CC0)\b", re.I)
_OTHER = re.compile(r"GPL|MPL|Mozilla|Proprietary|Commercial|EULA", re.I)

# What is laid out rather than written: examples, fields, directives, tables, lists, code.
_LAID_OUT = re.compile(
    r">>>|\.\. |::|^\s*[-*+|=:@#>$~]|^\s*\d+[.)]|---|===|\bhttps?:|\S\(\)|[{}\\<>|=_^*`]", re.MULTILINE
)
_ROLE = re.compile(r":[\w:+-]+:`~?(?:[^`<]*\.)?([^`<.]+?)(?:\s*<[^`]*>)?`")
_QUOTED = re.compile(r"``?([^`\n]+?)``?_{0,2}")
# A heading that runs into its first sentence.
_HEADED = re.compile(
    r"(?:Args|Arguments|Example|Examples|Note|Notes|Parameters|Raises|Returns|Return|Yields)\b:? |\w+: "
)
# No end of a sentence after what shortens a word, nor after one letter.
_END = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<!cf\.)\s+(?=[A-Z\"'])")
_WORD = re.compile(r"[A-Za-z][a-z]*(?:[-'][A-Za-z]+)*")
# A sentence of English has some of these; code and lists of names have none.
_COMMON = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "each", "for", "from", "has", "have", "if"),
        *("in", "into", "is", "it", "its", "may", "more", "must", "no", "not", "of", "on", "one", "only", "or"),
        *("other", "so", "than", "that", "the", "their", "then", "there", "these", "they", "this", "to", "used"),
        *("using", "was", "when", "which", "will", "with", "you"),
    ]
)
_SHORTEST, _LONGEST = 5, 50


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Distinct sentences.

    Attributes:
        texts: in a random order, always the same one for the same packages.
        packages: how many sentences each gave first, with its version and licence, as "numpy 2.4.6, BSD-3-Clause".
    """

    texts: list[str]
    packages: dict[str, int]

    @property
    def source(self) -> str:
        """In words, for a result's file."""
        return (
            f"{len(self.texts):,} distinct sentences of docstrings, from Python's own library and "
            f"{len(self.packages) - 1} installed packages with permissive licences"
        )


def collect() -> Corpus:
    """The sentences of this interpreter's packages, then of those in the benchmarks' and tests' environments."""
    texts: dict[str, str] = {}
    packages: dict[str, int] = {}
    for name, files in _sources():
        before = len(texts)
        for path in files:
            for sentence in _sentences(path):
                texts.setdefault(_essence(sentence), sentence)
        if len(texts) > before:
            packages[name] = len(texts) - before
    distinct = list(texts.values())
    random.Random(0).shuffle(distinct)
    return Corpus(texts=distinct, packages=packages)


def _sources() -> Iterator[tuple[str, list[Path]]]:
    """Every package once, with its files."""
    library = Path(sysconfig.get_paths()["stdlib"])
    own = [path for path in sorted(library.rglob("*.py")) if not {"site-packages", "test", "tests"} & {*path.parts}]
    yield "Python, PSF-2.0", own
    seen: set[str] = set()
    sites = [Path(sysconfig.get_paths()["purelib"]), *sorted((ROOT / ".environments").glob("*/lib/*/site-packages"))]
    for site in sites:
        for package in sorted(distributions(path=[str(site)]), key=lambda each: each.metadata["Name"].lower()):
            name, licence = package.metadata["Name"], _licence(package)
            if name.lower() in seen or licence is None:
                continue
            seen.add(name.lower())
            files = (Path(str(package.locate_file(file))) for file in package.files or () if file.suffix == ".py")
            yield f"{name} {package.version}, {licence}", sorted(files)


def _licence(package: Distribution) -> str | None:
    """The licence that a package's metadata name; None unless it is a permissive one alone."""
    about = package.metadata
    classifiers = [each for each in about.get_all("Classifier", []) if each.startswith("License :: ")]
    # The field may hold the licence's whole text, whose first words name it.
    named = [about.get("License-Expression") or "", *classifiers, (about.get("License") or "")[:200]]
    stated = [each.rpartition(" :: ")[2] for each in named if _PERMISSIVE.search(each)]
    return None if not stated or any(map(_OTHER.search, named)) else stated[0].split("\n")[0][:80]


def _sentences(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in other people's strings
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                yield from _written(paragraph)


def _written(paragraph: str) -> Iterator[str]:
    """The sentences of a paragraph of prose."""
    plain = _QUOTED.sub(r"\1", _ROLE.sub(r"\1", paragraph))
    if _LAID_OUT.search(plain.split("\n")[0][:2]):
        return
    for sentence in _END.split(" ".join(plain.split())):
        words = sentence.split()
        if not (_SHORTEST <= len(words) <= _LONGEST and sentence[0].isupper() and sentence[-1] in ".!?"):
            continue
        letters = sum(each.isalpha() or each == " " for each in sentence) / len(sentence)
        common = sum(word.lower() in _COMMON for word in _WORD.findall(sentence)) / len(words)
        prose = letters > 0.92 and common > 0.15 and sentence.isascii()
        if prose and not _LAID_OUT.search(sentence) and not _HEADED.match(sentence):
            yield sentence


def _essence(sentence: str) -> str:
    """What two sentences share that differ in numbers, case or marks alone."""
    return " ".join(_WORD.findall(sentence.lower()))


def main() -> None:
    no_options(__doc__)
    corpus = collect()
    print(corpus.source)
    for name, count in sorted(corpus.packages.items(), key=lambda each: -each[1]):
        print(f"{count:8,} {name}")
    print("\n".join(corpus.texts[:40]))


if __name__ == "__main__":
    main()
