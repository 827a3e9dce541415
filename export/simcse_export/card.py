"""The card of an artifact on the Hugging Face hub: what it is, how good, and how to use it, all from its manifest."""

import json
import re
from collections.abc import Iterator

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.cli.info import manifest_facts

_TAGS = ("simcse", "simcse-engine", "sentence-embeddings", "feature-extraction", "onnx")
# What needs another installation than [cpu].
_EXTRAS = {"cpu": "cpu", "cuda": "gpu", "tensorrt": "gpu", "tensorrt-rtx": "gpu,tensorrt-rtx"}


def model_card(manifest: Manifest, where: str) -> str:
    """The text of ``README.md`` for an artifact that is pushed to ``where``, a hub id with or without a branch."""
    checkpoint = _checkpoint(manifest)
    parts = [
        _front_matter(manifest),
        f"# {where.partition('@')[0].partition('/')[2]}\n",
        f"Sentence vectors of {checkpoint} without torch: an artifact of simcse-engine, which ONNX Runtime runs.\n"
        "It was compared with transformers before it was published. The checkpoint's licence holds.\n",
        *_facts(manifest),
        *_scores(manifest),
        *_use(manifest, where),
        *_prompts(manifest),
        *_elsewhere(manifest),
    ]
    return "\n".join(parts)


def _front_matter(manifest: Manifest) -> str:
    lines = ["library_name: simcse-engine", "pipeline_tag: sentence-similarity", "tags:"]
    lines += [f"- {tag}" for tag in _TAGS]
    if _on_hub(manifest):
        # JSON is YAML too. The hub calls every conversion so.
        lines += [f"base_model: {json.dumps(manifest.source.id)}", "base_model_relation: quantized"]
    return "\n".join(["---", *lines, "---", ""])


def _on_hub(manifest: Manifest) -> bool:
    return manifest.source.revision is not None


def _checkpoint(manifest: Manifest) -> str:
    name = manifest.source.id
    return f"[{name}](https://huggingface.co/{name})" if _on_hub(manifest) else _code(name)


def _facts(manifest: Manifest) -> Iterator[str]:
    yield "| | |\n|---|---|"
    for name, value in manifest_facts(manifest).items():
        if name != "prompts":  # which follow by themselves
            yield _row(name, value)
    yield (
        "\nThe identity changes when vectors do: those of one identity may be compared with each other. Opening the "
        "artifact checks every\nfile against `manifest.json`.\n"
    )


def _scores(manifest: Manifest) -> Iterator[str]:
    if not manifest.quality or "sts" not in manifest.quality:
        return
    columns = {manifest.precision: manifest.quality["sts"]}
    if "sts_fp32" in manifest.quality:
        columns["fp32"] = manifest.quality["sts_fp32"]
    if "sts_unwhitened" in manifest.quality:
        columns["unwhitened"] = manifest.quality["sts_unwhitened"]
    yield "## STS\n\nSpearman's rank correlation of cosines and people's scores, x 100.\n"
    yield _row("task", *columns)
    yield _row("---", *["---:"] * len(columns))
    for task in manifest.quality["sts"]["tasks"]:
        yield _row(task, *(f"{scores['tasks'][task]['spearman']:.2f}" for scores in columns.values()))
    yield _row("average", *(f"{scores['average']:.2f}" for scores in columns.values()))
    yield ""


def _use(manifest: Manifest, where: str) -> Iterator[str]:
    yield f"## Use\n\n```\npip install 'simcse-engine[{_EXTRAS[manifest.target]}]'\n```\n"
    if manifest.target == "tensorrt":
        yield f"Compile it first, on the machine that will run it: `simcse-engine compile {where} -o compiled`.\n"
        where = "compiled"
    yield (
        "```python\nfrom simcse_engine import Encoder\n\n"
        f'encoder = Encoder("{where}")\n'
        'vectors = encoder.encode(["A man plays a guitar.", "Someone is making music."])\n```\n'
    )
    yield (
        f'```\nsimcse-engine similarity {where} "A man plays a guitar." "Someone is making music."\n'
        f"simcse-engine encode {where} texts.txt -o vectors.npy\n```\n"
    )


def _prompts(manifest: Manifest) -> Iterator[str]:
    if not any(manifest.prompts.values()):
        return
    yield "## Prompts\n"
    yield "`encode_query` and `encode_document` take theirs by themselves, `encode(texts, prompt_name=…)` takes any.\n"
    for name, prompt in manifest.prompts.items():
        if not prompt:
            continue
        is_default = " (default)" if name == manifest.default_prompt_name else ""
        yield f"- {_code(name)}{is_default}: {_code(prompt)}"
    yield ""


def _elsewhere(manifest: Manifest) -> Iterator[str]:
    if manifest.layout == "padded":
        yield (
            "## Elsewhere\n\n"
            "The graph takes `input_ids` and `attention_mask`, int64 [texts, tokens], padded at the right, and gives\n"
            "`sentence_embedding`: for FastEmbed, transformers.js, Triton and others that expect these.\n"
        )


def _row(*cells: str) -> str:
    escaped = (" ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _code(text: str) -> str:
    """A text as code, whatever is in it."""
    if not text.isprintable():
        text = json.dumps(text)
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", text))))
    return f"{fence} {text} {fence}"
