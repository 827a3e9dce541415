"""What the library's last two major releases save gets the length and the vectors that they give themselves."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import CheckpointWarning
from simcse_export import ExportOptions, export
from simcse_export.checkpoint import keys
from simcse_export.checkpoint.model import read_model
from support.checkpoints import make_checkpoint
from support.child import run_script
from support.environments import overlay
from support.forward import TEXTS, assert_equal
from support.releases import HERE

_SHARED = ("scikit-learn==1.7.2", "scipy==1.16.3", "joblib==1.5.2", "threadpoolctl==3.6.0")
RELEASES = {
    "5": ("sentence-transformers==5.7.0", *_SHARED),
    "6": ("sentence-transformers==6.2.0", *_SHARED),
}
SCRIPT = Path(__file__).with_name("saved_by_library.py")
QUIET = {"PYTHONWARNINGS": "ignore", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Saved:
    """What a release saved, and what `SCRIPT` says of it."""

    folders: Path
    vectors: Path
    lengths: dict[str, int]
    keys: dict[str, list[str]]


@pytest.fixture(scope="module", params=RELEASES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    root = tmp_path_factory.mktemp("saved")
    checkpoints = make_checkpoint(root / "bert"), make_checkpoint(root / "roberta", model_type="roberta")
    folders, vectors = root / "folders", root / "vectors"
    for folder in (folders, vectors):
        folder.mkdir()
    arguments = [*checkpoints, folders, vectors, json.dumps(TEXTS)]
    if request.param == "6" and HERE.startswith("4."):
        pytest.skip("sentence-transformers 6 needs transformers 5")
    path = str(overlay(*RELEASES[request.param]))
    # As in the suite itself, torch has one thread.
    settings = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", **QUIET}
    facts = json.loads(run_script(SCRIPT.read_text(), *arguments, seconds=600, **settings))
    return Saved(folders, vectors, facts["lengths"], facts["keys"])


def test_every_folder_gets_the_librarys_length(saved: Saved) -> None:
    assert saved.lengths == {
        **{"mean": 32, "cls": 64, "roberta": 20, "truncated": 64, "truncated, of any length": 30},
        **{"as release 2 wrote it": 24, "cased and lowercased": 31, "cut in tokenizer.json": 44},
        **{"of old transformers": 25, "longer than the positions": 64, "in loading": 19, "null": 40},
        **{"no settings": 41, "another name": 21},
        # The library fails on a text of more than 64 tokens.
        "roberta, as long as its positions": 66,
        # It cuts at 18, whatever it says.
        "in the call": 64,
        **dict.fromkeys(["max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"], 64),
        **dict.fromkeys(["as LaBSE", "as distiluse", "several dense layers"], 64),
    }
    expected = {**saved.lengths, "in the call": 18, "roberta, as long as its positions": 64}
    assert {name: read_model(saved.folders / name, ExportOptions()).max_tokens for name in expected} == expected


@pytest.mark.parametrize(
    "name",
    [
        *("cls", "roberta", "truncated, of any length", "as release 2 wrote it", "cased and lowercased", "in the call"),
        *("max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"),
        *("as LaBSE", "as distiluse", "several dense layers"),
    ],
)
def test_the_vectors_are_the_librarys(saved: Saved, name: str, tmp_path: Path) -> None:
    vectors = np.load(saved.vectors / f"{name}.npy")
    # An artifact without the norm has its vectors as the library has them, and is compared with them as they are.
    normalize = name not in ("truncated, of any length", "as distiluse", "several dense layers")
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        manifest = export(saved.folders / name, tmp_path / "artifact", ExportOptions(normalize=normalize))
    assert manifest.dimension == vectors.shape[1]
    if normalize:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert_equal(tmp_path / "artifact", vectors)


def test_every_key_of_the_library_is_known(saved: Saved) -> None:
    known = {"modules": keys.MODULES, "config": keys.CONFIG, "Transformer": keys.TRANSFORMER, "Pooling": keys.POOLING}
    unknown = {name: {*found} - {**known, **keys.LAST}[name].keys() for name, found in saved.keys.items()}
    assert not any(unknown.values()), unknown
