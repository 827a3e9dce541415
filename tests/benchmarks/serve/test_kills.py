"""The check that follows each kill must see what is missing or mixed up."""

from pathlib import Path

import pytest
from benchmarks.serve.kills import LostError, check

from simcse_engine import Encoder, Index

TEXTS = {1: "a man plays the guitar", 2: "the cat sleeps on the table", 7: "two dogs run"}


def test_what_was_acknowledged_must_be_there(artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Encoder(artifact) as encoder:
        with Index.create(folder, encoder) as index:
            index.add(list(TEXTS.values()), keys=list(TEXTS))
        assert check(folder, encoder, TEXTS, []) == TEXTS
        # A request without an answer may be there or not.
        assert check(folder, encoder, {1: TEXTS[1]}, [{2: TEXTS[2], 7: TEXTS[7]}, {3: "never"}]) == TEXTS
        for expected, maybe, why in (
            ({**TEXTS, 3: "lost"}, [], "under 3 is None, not 'lost'"),
            ({**TEXTS, 2: "another"}, [], "under 2 is 'the cat sleeps on the table', not 'another'"),
            ({1: TEXTS[1], 2: TEXTS[2]}, [], "under 7 is 'two dogs run', not None"),
            (TEXTS, [{7: TEXTS[7], 8: "half"}], "has 1 of the 2 entries of one request"),
        ):
            with pytest.raises(LostError, match=why):
                check(folder, encoder, expected, maybe)
