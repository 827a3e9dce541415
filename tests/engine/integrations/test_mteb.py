"""MTEB's tasks over our encoder: its mock tasks, and an STS task over our files beside `simcse-engine evaluate`."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.cli.main import main
from support.frameworks import run_with_mteb

STS = Path(__file__).resolve().parents[4] / "shared/sts/stsb-dev.tsv"
PAGE = Path(__file__).resolve().parents[3] / "docs/integrations.md"
REAL = STS.is_file() and STS.parents[1].joinpath("checkpoints/simcse-minilm-l6").is_dir()
PAIRS = 300
TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "一个男人在弹吉他。"]

# Its mock tasks are one of each type.
ASK = """
    import json, os, sys, tempfile, warnings

    os.environ["MTEB_CACHE"] = tempfile.mkdtemp(dir=os.path.dirname(sys.argv[5]))
    import mteb, numpy
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.mocks import mock_tasks
    from mteb.mocks.mock_run import get_compatible_mock_tasks
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from mteb.types import PromptType
    from simcse_engine import Encoder
    from simcse_engine.integrations.mteb import SimCSEEncoder
    from torch.utils.data import DataLoader

    # Of its own tasks' texts, MTEB's.
    warnings.simplefilter("ignore")
    artifact, checkpoint, texts, evaluated, path, example = *sys.argv[1:3], json.loads(sys.argv[3]), *sys.argv[4:]
    # The page's example.
    os.chdir(os.environ["MTEB_CACHE"])
    os.symlink(artifact, "sup-simcse")
    exec(example, {})
    model = SimCSEEncoder(artifact, truncate="silent", threads=1)
    assert isinstance(model, mteb.EncoderProtocol)
    tasks = list({task.metadata.type: task for task in get_compatible_mock_tasks(model)}.values())
    results = mteb.evaluate(model, tasks, cache=None, show_progress_bar=False, raise_error=False)

    library = SentenceTransformerEncoderWrapper(checkpoint, device="cpu")
    vectors = []
    for task in (mock_tasks.MockSTSTask, mock_tasks.MockClassificationTask, mock_tasks.MockRetrievalTask):
        for prompt_type in (None, PromptType.query, PromptType.document):
            asked = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default"}
            batches = DataLoader(Dataset.from_dict({"text": texts}), batch_size=3)
            pair = [each.encode(batches, prompt_type=prompt_type, **asked) for each in (library, model)]
            vectors.append([task.metadata.name, str(prompt_type), *(numpy.asarray(side).tolist() for side in pair)])

    unknown = ("reference", "date", "license", "annotations_creators", "sample_creation")
    lists = {"domains": [], "task_subtypes": [], "dialect": [], "modalities": ["text"], "eval_splits": ["test"]}

    class OurPairs(AbsTaskSTS):
        metadata = TaskMetadata(
            name="OurPairs", type="STS", category="t2t", main_score="cosine_spearman", description="Pairs of a file.",
            dataset={"path": "none", "revision": "none"}, eval_langs=["eng-Latn"], bibtex_citation="",
            **lists, **dict.fromkeys(unknown),
        )

        def load_data(self, **_):
            with open(path, encoding="utf-8") as file:
                rows = [line.rstrip("\\n").split("\\t") for line in file]
            pairs = [{"score": float(gold), "sentence1": first, "sentence2": second} for gold, first, second in rows]
            self.dataset, self.data_loaded = DatasetDict(test=Dataset.from_list(pairs)), True

    asked = SimCSEEncoder(evaluated, threads=1, truncate="silent")
    scores = mteb.evaluate(asked, [OurPairs()], cache=None, show_progress_bar=False).task_results[0].scores["test"][0]

    cache = mteb.ResultCache(tempfile.mkdtemp(dir=os.path.dirname(path)))

    def kept(**options):
        asked = SimCSEEncoder(evaluated, threads=1, truncate="silent", **options)
        result = mteb.evaluate(asked, [OurPairs()], cache=cache, show_progress_bar=False)
        return result.task_results[0].scores["test"][0]["cosine_spearman"]

    def refused(call):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    meta = model.mteb_model_meta
    print("\\n" + json.dumps({
        "passed": [result.task_name for result in results.task_results],
        "failed": [[error.task_name, error.exception] for error in results.exceptions or []],
        "wanted": [task.metadata.name for task in tasks],
        "vectors": vectors,
        "similarity": numpy.asarray(model.similarity(*[model.model.encode(texts)] * 2)).tolist(),
        "pairwise": model.similarity_pairwise(*[model.model.encode(texts)] * 2).tolist(),
        "spearman": [scores["spearman"], scores["cosine_spearman"]],
        "kept": [kept(), kept(dimensions=2), kept(max_tokens=4)],
        "kept again": kept(),
        "meta": json.loads(meta.model_dump_json(exclude={"loader"})),
        "cut": SimCSEEncoder(Encoder(artifact), dimensions=8).mteb_model_meta.embed_dim,
        "the same revision": refused(lambda: SimCSEEncoder(artifact, meta.revision)),
        "another revision": refused(lambda: SimCSEEncoder(artifact, "0" * 64)),
    }))
"""


@pytest.fixture(scope="module")
def evaluated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An artifact, and a file of pairs: the real ones where the machine has them."""
    path = tmp_path_factory.mktemp("sts") / "pairs.tsv"
    if REAL:
        path.write_text("".join(STS.read_text(encoding="utf-8").splitlines(keepends=True)[:PAIRS]), encoding="utf-8")
        return request.getfixturevalue("real_artifact"), path
    words = ["man", "woman", "guitar", "cat", "mat", "dog"]
    rows = [f"{(5 * i) % 11 / 2}\ta {words[i % 6]} plays {i}\tthe {words[i % 5]} is {i * i}" for i in range(60)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return request.getfixturevalue("artifact"), path


@pytest.fixture(scope="module")
def said(prompted: Path, prompted_checkpoint: Path, evaluated: tuple[Path, Path]) -> dict[str, Any]:
    """What MTEB got."""
    (example,) = re.findall(
        r"^## MTEB\n\n```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    said = run_with_mteb(ASK, prompted, prompted_checkpoint, json.dumps(TEXTS), *evaluated, example)
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


def test_mock_tasks_run(said: dict[str, Any]) -> None:
    assert said["failed"] == []
    assert len(said["wanted"]) > 10
    assert sorted(said["passed"]) == sorted(said["wanted"])


def test_prompts_are_chosen_as_for_sentence_transformers(said: dict[str, Any], encoder: Encoder) -> None:
    assert len(said["vectors"]) == 9
    for task, kind, theirs, ours in said["vectors"]:
        np.testing.assert_allclose(ours, theirs, atol=2e-6, err_msg=f"{task}, {kind}")
    by_task = {(task, kind): ours for task, kind, _, ours in said["vectors"]}
    for kind in (None, "query", "document"):
        stated = encoder.encode(TEXTS, prompt_name="STS")
        np.testing.assert_allclose(by_task["MockSTSTask", str(kind)], stated, atol=1e-6)
    asked = encoder.encode(TEXTS, prompt_name="Classification-query")
    np.testing.assert_allclose(by_task["MockClassificationTask", "query"], asked, atol=1e-6)
    np.testing.assert_allclose(by_task["MockRetrievalTask", "document"], encoder.encode_document(TEXTS), atol=1e-6)


def test_similarities_are_cosines(said: dict[str, Any], encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    np.testing.assert_allclose(said["similarity"], vectors @ vectors.T, atol=1e-6)
    np.testing.assert_allclose(said["pairwise"], 1, atol=1e-6)


def test_the_metadata_is_the_manifests(said: dict[str, Any], encoder: Encoder) -> None:
    manifest, meta = encoder.manifest, said["meta"]
    assert meta["name"] == f"simcse-engine/{manifest.source.id}"
    assert meta["revision"] == manifest.identity
    assert meta["adapted_from"] == manifest.source.id
    assert (meta["embed_dim"], meta["max_tokens"]) == (encoder.dimension, encoder.max_tokens)
    assert said["cut"] == 8
    assert meta["framework"] == ["ONNX"]
    assert meta["similarity_fn_name"] == "cosine"
    assert meta["use_instructions"] is True
    kept_by = {"dimensions": encoder.dimension, "max_tokens": encoder.max_tokens}
    assert meta["experiment_kwargs"] == {"pooler": manifest.pooler, "precision": manifest.precision, **kept_by}


def test_results_that_are_kept_are_of_their_dimensions_and_length(said: dict[str, Any]) -> None:
    whole, *others = said["kept"]
    # A file has them in fewer digits.
    assert abs(whole - said["kept again"]) <= 1e-5
    assert abs(whole - said["spearman"][1]) <= 1e-5
    assert all(abs(other - whole) > 1e-4 for other in others)


def test_a_revision_is_an_identity(said: dict[str, Any]) -> None:
    assert said["the same revision"] is None
    assert said["another revision"][0] == "IndexMismatchError"


def test_an_sts_task_has_the_spearman_of_evaluate(
    said: dict[str, Any], evaluated: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    artifact, path = map(str, evaluated)
    assert main(["evaluate", artifact, "--sts", path, "--json", "--truncate", "silent"]) == 0
    expected = json.loads(capsys.readouterr().out)["tasks"]["pairs"]["spearman"] / 100
    spearman, by_mtebs_cosines = said["spearman"]
    assert abs(spearman - expected) <= 1e-6
    # Those are of float32: the small model's are too close to one another.
    assert abs(by_mtebs_cosines - expected) <= (1e-6 if REAL else 1e-3)
