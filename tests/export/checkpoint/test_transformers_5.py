"""Checkpoints that transformers 5 saved give the vectors that it computes, though transformers 4 reads them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.transformers_5 import model_settings
from support.checkpoints import edit_json, make_checkpoint
from support.child import run_script
from support.forward import assert_equal, forward
from support.releases import beside

AVG = ExportOptions(pooler="avg", max_tokens=64)

FAMILIES = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "distilbert": {},
    "mpnet": {},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8},
    # Texts of the test are longer than its window, and its rotations are none of transformers 4's defaults.
    "modernbert": {
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 500.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
        },
    },
}
CASES = [*(("5.24.0", family) for family in FAMILIES), ("5.0.0", "distilbert"), ("5.0.0", "modernbert")]
SAVE = """
import contextlib, json, sys, warnings
from pathlib import Path
import numpy as np
warnings.simplefilter("ignore")
with contextlib.redirect_stderr(None):
    from support.checkpoints import make_checkpoint
    from support.forward import forward
    for family, config in json.loads(sys.argv[2]).items():
        folder = make_checkpoint(Path(sys.argv[1], family), model_type=family, **config)
        for name in ("vocab.txt", "vocab.json", "merges.txt"):
            (folder / name).unlink(missing_ok=True)
        np.save(folder.with_suffix(".npy"), forward(folder, "avg"))
"""

Saved = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A folder per family, and beside it the vectors that the release which saved it computes, for a release."""
    folders: dict[str, Path] = {}

    def save(release: str) -> Path:
        if release not in folders:
            folders[release] = tmp_path_factory.mktemp("saved")
            families = {name: FAMILIES[name] for other, name in CASES if other == release}
            # As in the suite itself, torch has one thread.
            settings = {"PYTHONPATH": beside(release), "OMP_NUM_THREADS": "1"}
            run_script(SAVE, folders[release], json.dumps(families), seconds=900, **settings)
        return folders[release]

    return save


@pytest.mark.transformers_4
@pytest.mark.parametrize(("release", "family"), CASES)
def test_vectors_are_those_of_the_release_that_saved(tmp_path: Path, saved: Saved, release: str, family: str) -> None:
    folder = saved(release) / family
    assert json.loads((folder / "config.json").read_text())["transformers_version"] == release
    export(folder, tmp_path / "artifact", AVG)
    assert_equal(tmp_path / "artifact", np.load(folder.with_suffix(".npy")), within=5e-6)


def test_a_generic_fast_tokenizer(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    expected = forward(checkpoint, "avg")
    edit_json(checkpoint / "tokenizer_config.json", tokenizer_class="TokenizersBackend", backend="tokenizers")
    export(checkpoint, tmp_path / "artifact", AVG)
    assert_equal(tmp_path / "artifact", expected)
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"is TokenizersBackend, and no tokenizer\.json lies beside it"):
        export(checkpoint, tmp_path / "other", AVG)


def test_special_tokens_in_a_list(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    expected = forward(checkpoint, "avg")
    edit_json(checkpoint / "tokenizer_config.json", extra_special_tokens=["[MASK]"])
    export(checkpoint, tmp_path / "artifact", AVG)
    assert_equal(tmp_path / "artifact", expected)


FULL, SLIDING = "full_attention", "sliding_attention"
DEFAULT = {"rope_type": "default", "rope_theta": 1.0}


@pytest.mark.transformers_4
@pytest.mark.parametrize(
    ("types", "every"),
    [([FULL, SLIDING, SLIDING, FULL], 3), ([FULL, FULL], 1), ([FULL, SLIDING, FULL, SLIDING], 2), ([FULL, SLIDING], 2)],
)
def test_layers_that_attend_to_the_whole_text(types: list[str], every: int) -> None:
    stated = model_settings({"model_type": "modernbert", "layer_types": types})
    assert stated == {"global_attn_every_n_layers": every}


@pytest.mark.transformers_4
@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("modernbert", {"layer_types": [SLIDING, FULL]}),
        ("modernbert", {"layer_types": [FULL, FULL, SLIDING]}),
        ("modernbert", {"layer_types": [SLIDING]}),
        ("modernbert", {"layer_types": []}),
        ("modernbert", {"layer_types": 3}),
        ("modernbert", {"rope_parameters": {FULL: DEFAULT}}),
        ("modernbert", {"rope_parameters": {FULL: DEFAULT, SLIDING: DEFAULT | {"rope_type": "yarn"}}}),
        ("modernbert", {"rope_parameters": {FULL: DEFAULT, SLIDING: {"rope_type": "default"}}}),
        ("modernbert", {"rope_parameters": [3]}),
        ("qwen2", {"rope_parameters": DEFAULT}),
    ],
)
def test_what_transformers_4_cannot_compute_is_refused(model_type: str, config: dict[str, object]) -> None:
    (name,) = config
    with pytest.raises(UnsupportedModelError, match=f"{model_type}: config.json states {name}"):
        model_settings({"model_type": model_type, **config})


@pytest.mark.transformers_4
def test_the_padding_of_flaubert() -> None:
    assert model_settings({"model_type": "flaubert", "pad_token_id": 0}) == {"pad_index": 0}
