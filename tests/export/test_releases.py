"""A checkpoint's artifact is the same to the byte, whichever supported transformers exported it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.checkpoints import edit_json, make_checkpoint, write_json
from support.child import run_script
from support.releases import LAST_4, NEWEST, RELEASES, beside

EXPORT = Path(__file__).with_name("exported_by_release.py").read_text(encoding="utf-8")
SAVE = """
import contextlib, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
with contextlib.redirect_stderr(None):
    from support.checkpoints import make_checkpoint
    for model_type in ("bert", "roberta"):
        make_checkpoint(Path(sys.argv[1], f"{model_type} of transformers {sys.argv[2]}"), model_type=model_type)
"""

# What the first releases of both majors are tried with, to save time.
FEW = (f"bert of transformers {LAST_4}", "roberta, vocabulary alone", "odd tokenizer")

Made = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints as releases save them, and as people change them."""
    root = tmp_path_factory.mktemp("checkpoints")
    for release in (LAST_4, NEWEST):
        run_script(SAVE, root, release, PYTHONPATH=beside(release), seconds=600)
    for model_type in ("bert", "roberta", "mpnet"):
        make_checkpoint(root / f"{model_type}, vocabulary alone", model_type=model_type, tokenizer="vocab")
    make_checkpoint(root / "xlm-roberta", model_type="xlm-roberta")
    # tokenizer.json says more than the class of tokenizer knows, and less than tokenizer_config.json.
    odd = make_checkpoint(root / "odd tokenizer", vocab_size=180)
    _edit_tokenizer(odd, lambda content: content["added_tokens"].append(_ADDED))
    _edit_tokenizer(odd, lambda content: content.update(normalizer=_sequence(content["normalizer"])))
    cased = make_checkpoint(root / "cased by its config")
    edit_json(cased / "tokenizer_config.json", do_lower_case=False)
    bare = make_checkpoint(root / "no tokenizer_config.json")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (bare / name).unlink(missing_ok=True)
    _edit_tokenizer(bare, lambda content: content["normalizer"].update(lowercase=False))
    return root


@pytest.fixture(scope="module")
def newest(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _export(NEWEST, checkpoints, tmp_path_factory.mktemp(NEWEST))


def test_the_same_artifacts(checkpoints: Path, newest: Made, tmp_path: Path) -> None:
    made = _export(LAST_4, checkpoints, tmp_path)
    assert len(made) == len([*checkpoints.iterdir()]) + 2
    assert made == newest


@pytest.mark.parametrize("release", [each for each in RELEASES if each not in (LAST_4, NEWEST)])
def test_first_releases(release: str, checkpoints: Path, newest: Made, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in FEW:
        (tmp_path / "checkpoints" / name).symlink_to(checkpoints / name)
    made = _export(release, tmp_path / "checkpoints", tmp_path / "artifacts")
    assert made == {f"{name}, fp32": newest[f"{name}, fp32"] for name in FEW}


def test_the_real_checkpoint(real_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/real").symlink_to(real_checkpoint)
    made = [_export(release, tmp_path / "checkpoints", tmp_path / release) for release in (LAST_4, NEWEST)]
    assert made[0] == made[1]


_ADDED = {
    **{"id": 179, "content": "guitarist", "single_word": False, "lstrip": False, "rstrip": False},
    **{"normalized": True, "special": False},
}


def _sequence(normalizer: object) -> object:
    return {"type": "Sequence", "normalizers": [{"type": "NFKC"}, normalizer]}


def _edit_tokenizer(checkpoint: Path, edit: Callable[[dict], object]) -> None:
    content = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    edit(content)
    write_json(checkpoint / "tokenizer.json", content)


def _export(release: str, checkpoints: Path, folder: Path) -> Made:
    said = json.loads(run_script(EXPORT, checkpoints, folder, PYTHONPATH=beside(release), seconds=600))
    assert said["release"] == release
    made: Made = said["made"]
    return made
