"""Which way to spell the graph is the fastest here, of those that were prepared."""

import warnings
from contextlib import ExitStack
from typing import Any

from simcse_engine import UnverifiedWarning
from simcse_engine.measure import parity

from ..statistics import over, rates
from ..turns import alternate, timed
from .field import OURS, Field, Ours

# Besides the natural mix.
_LENGTHS = (16, 128)


def spellings(field: Field) -> dict[str, Any]:
    """Bulk work from token ids by each spelling, in turns with the artifact as it is, and how right its vectors are."""
    # It imports what exports graphs, which no other question needs.
    from ..choices.cuda_spellings import compare_encoders, opened_spelling

    work = field.work
    inputs = {"mix": field.ids()}
    for length in _LENGTHS:
        inputs[str(length)] = field.ids_of([length] * max(1, work.tokens // length))
    few = field.texts[: min(work.sentences, len(field.reference.vectors))]
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        ways = {OURS: field.ours}
        for name, artifact in field.prepared.spellings.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UnverifiedWarning)
                    ways[name] = Ours(stack.enter_context(opened_spelling(name, artifact, field.device)))
                ways[name].encode(few[:8])
            except Exception as error:  # what this GPU cannot run is reported
                ways.pop(name, None)
                absent[name] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        agreed = {
            name: parity.compare(each.encode(few), field.reference.vectors[: len(few)]) for name, each in ways.items()
        }
        runs = {name: timed(each.encode_ids) for name, each in ways.items()}
        seconds = {name: alternate(runs, [ids] * work.rounds) for name, ids in inputs.items()}
        alone: dict[str, Any] = {}
        if field.device != "cpu":
            encoders = {name: each.encoder for name, each in ways.items()}
            try:
                alone = compare_encoders(encoders, base=OURS, lengths=_LENGTHS, rounds=work.rounds, runs=5)
            except Exception as error:  # the figures above stand
                absent["the graph alone"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return {
        "sentences_per_second": {name: rates(each, len(inputs[name])) for name, each in seconds.items()},
        "spelling_over_ours": {name: over(each, OURS) for name, each in seconds.items()},
        "one_minus_least_cosine": {name: 1 - each.min_cosine for name, each in agreed.items()},
        # Of the graph on inputs that lie on the GPU, without what the processor does before and after.
        **alone,
        "absent": absent,
    }
