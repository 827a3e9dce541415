"""The card says what the manifest says, in Markdown and YAML that others can read."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from simcse_engine import Manifest
from simcse_export.card import model_card


@pytest.fixture
def manifest(artifact: Path) -> Manifest:
    return Manifest.read(artifact)


def front_matter(card: str) -> dict[str, object]:
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert match
    return yaml.safe_load(match[1])


def test_what_the_hub_reads(manifest: Manifest) -> None:
    facts = front_matter(model_card(manifest, "user/name"))
    assert facts["library_name"] == "simcse-engine"
    assert facts["pipeline_tag"] == "sentence-similarity"
    assert {"feature-extraction", "onnx"} <= set(facts["tags"])  # type: ignore[arg-type]
    # What nobody knows is not claimed.
    assert not {"license", "language", "base_model"} & set(facts)
    source = replace(manifest.source, id="princeton-nlp/sup-simcse", revision="0" * 40)
    facts = front_matter(model_card(replace(manifest, source=source), "user/name"))
    assert facts["base_model"] == "princeton-nlp/sup-simcse"


def test_what_people_read(manifest: Manifest) -> None:
    card = model_card(manifest, "user/name@v2")
    assert "\n# name\n" in card
    for line in (
        "| pooler | cls |",
        "| vectors | 32 floats, unit length |",
        "| precision | fp32 for cpu |",
        f"| identity | {manifest.identity} |",
        "pip install 'simcse-engine[cpu]'",
        'encoder = Encoder("user/name@v2")',
        "simcse-engine encode user/name@v2 texts.txt -o vectors.npy",
    ):
        assert f"\n{line}\n" in card
    assert re.search(r"\n\| max tokens \| 32 \(.*\) \|\n\| precision", card)
    assert f"max abs difference {manifest.parity['max_abs_difference']:.7g}" in card
    assert "##" in card
    assert not re.search("Prompts|STS|Elsewhere|licence of", card)


def test_sts(manifest: Manifest) -> None:
    def scores(first: float, second: float) -> dict[str, object]:
        tasks = {"a|b": {"spearman": first}, "STS14": {"spearman": second}}
        return {"tasks": tasks, "average": (first + second) / 2}

    quality = {"mean_cosine": 0.999, "min_cosine": 0.99, "sts": scores(70.126, 80), "sts_fp32": scores(71, 80.5)}
    card = model_card(replace(manifest, precision="int8", quality=quality), "user/name")
    table = "| task | int8 | fp32 |\n| --- | ---: | ---: |\n| a\\|b | 70.13 | 71.00 |\n| STS14 | 80.00 | 80.50 |\n"
    assert f"{table}| average | 75.06 | 75.75 |\n" in card
    card = model_card(
        replace(manifest, precision="int8", quality=quality | {"sts_unwhitened": scores(60, 61)}), "user/name"
    )
    assert "\n| task | int8 | fp32 | unwhitened |\n" in card
    card = model_card(replace(manifest, quality={"sts": scores(70, 80)}), "user/name")
    assert "| task | fp32 |\n| --- | ---: |\n| a\\|b | 70.00 |\n" in card


def test_prompts_and_other_programs(manifest: Manifest) -> None:
    prompts = {"query": "query: ", "odd": "`a`\n# b", "ticks": "a ``b", "turned": "a\u202eb", "document": ""}
    card = model_card(replace(manifest, prompts=prompts, default_prompt_name="query", layout="padded"), "user/name")
    assert "\n- `query` (default): `query: `\n" in card
    assert '\n- `odd`: `` "`a`\\n# b" ``\n' in card
    assert "\n- `ticks`: ``` a ``b ```\n" in card
    assert '\n- `turned`: `"a\\u202eb"`\n' in card
    assert "document`:" not in card
    assert "`input_ids` and `attention_mask`" in card


@pytest.mark.parametrize(
    ("target", "extra"), [("cuda", "gpu"), ("tensorrt", "gpu"), ("tensorrt-rtx", "gpu,tensorrt-rtx")]
)
def test_other_targets(manifest: Manifest, target: str, extra: str) -> None:
    card = model_card(replace(manifest, target=target, max_batch=64), "user/name")
    assert f"pip install 'simcse-engine[{extra}]'" in card
    opened = "compiled" if target == "tensorrt" else "user/name"
    assert f'Encoder("{opened}")' in card
    assert ("simcse-engine compile user/name -o compiled" in card) == (target == "tensorrt")


def test_a_checkpoint_of_any_name(manifest: Manifest) -> None:
    source = replace(manifest.source, id="a`b|c\n<script>")
    card = model_card(replace(manifest, source=source), "user/name")
    assert '`` "a`b|c\\n<script>" ``' in card
    assert "| checkpoint | a`b\\|c &lt;script> |" in card
    assert front_matter(card)["library_name"] == "simcse-engine"
