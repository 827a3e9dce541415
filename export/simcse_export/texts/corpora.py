"""Sentences to calibrate on and to judge by: those that come along, or a user's own."""

from importlib import resources
from pathlib import Path

from simcse_engine.errors import CheckpointError, InputValueError
from simcse_engine.files.opening import suffix_of
from simcse_engine.files.tables import TABLES
from simcse_engine.files.texts import open_lines

# Fewer say too little about the range of an activation.
_MIN_TEXTS = 64


def built_in(name: str) -> list[str]:
    """One of the corpora that come along, "calibration" or "gate": captions, news, questions, glosses, long texts …"""
    text = resources.files(__package__).joinpath("corpus", f"{name}.txt").read_text(encoding="utf-8")
    return text.splitlines()


def read_corpus(path: Path, use: str = "calibration") -> list[str]:
    """The distinct lines of a user's file, blank ones left out; messages say what they are for."""
    if suffix_of(path) in TABLES:
        raise CheckpointError(f"{path}: is a table; {use} takes a file of sentences, one per line")
    try:
        with open_lines(str(path)) as lines:
            texts = list(dict.fromkeys(line for line in lines if line.strip()))
    except InputValueError as error:
        raise CheckpointError(str(error)) from error
    if len(texts) < _MIN_TEXTS:
        raise CheckpointError(
            f"{path}: {len(texts)} distinct lines; {use} needs {_MIN_TEXTS} or more, best some hundreds "
            "of the kind that will be encoded"
        )
    return texts
