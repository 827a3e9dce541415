"""Small random checkpoints in every form that export reads.

Every parameter is random, biases and layer norms too, so that a graph that drops or swaps one gives other vectors.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

_PIECES = "the a an man woman plays play ##s ##ing ##ed guitar music is are cat dog on mat some one un ##able run walk"
_BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()[]{}<>/@#$%&*+=éßñ一个男人在弹吉他東京の"

# Positions count from the padding id + 1.
_OFFSET = ("roberta", "mpnet", "xlm-roberta", "camembert")
# The special tokens of tokenizers that SentencePiece trained: padding, unknown, first, last.
_UNIGRAM = {
    "xlm-roberta": ("<pad>", "<unk>", "<s>", "</s>"),
    "camembert": ("<pad>", "<unk>", "<s>", "</s>"),
    "albert": ("<pad>", "<unk>", "[CLS]", "[SEP]"),
    "deberta-v2": ("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
}

CORPUS = [
    "A man plays a guitar.",
    "Someone is making music on a small stage, and the crowd listens.",
    "The cat sat on the mat; the dog did not mind.",
    "Größere Übungen für müde Füße. Le cœur a ses raisons.",
    "一个男人在弹吉他。",
] * 4


def make_checkpoint(
    folder: Path,
    *,
    model_type: str = "bert",
    raw: bool = False,
    head: bool = True,
    dtype: torch.dtype = torch.float32,
    weights: str = "model.safetensors",
    shards: int = 1,
    tokenizer: str = "tokenizer.json",
    seed: int = 0,
    **config: object,
) -> Path:
    """Write a small checkpoint into ``folder`` and return it.

    Args:
        folder: created where it does not exist.
        model_type: transformers' name.
        raw: as SimCSE's training writes it: keys ``bert.*`` and ``mlp.dense.*``.
        head: with weights for pooler cls.
        dtype: of the stored weights.
        weights: "model.safetensors" or "pytorch_model.bin".
        shards: into how many files.
        tokenizer: "tokenizer.json", or "vocab" for the vocabulary files alone.
        seed: of the random weights.
        config: overrides of the small model's numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _write_vocabulary(folder, model_type)
    model = random_model(model_type, vocabulary, seed, **config)
    model.config.architectures = ["BertForCL" if model_type == "bert" else "RobertaForCL"] if raw else None
    model.config.save_pretrained(folder)
    if tokenizer == "tokenizer.json":
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    state = {name: tensor.to(dtype) for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    if not head or raw:
        dense = {name: state.pop(name) for name in list(state) if name.startswith("pooler.")} or _random_head(model)
    if raw:
        state = {f"{model.base_model_prefix}.{name}": tensor for name, tensor in state.items()}
        if head:
            state |= {name.replace("pooler.", "mlp."): tensor for name, tensor in dense.items()}
    _write_weights(folder, state, weights, shards)
    return folder


def _random_head(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """As SimCSE trains it for a model that has no pooler of its own."""
    size = model.config.hidden_size
    return {"pooler.dense.weight": torch.randn(size, size) * 0.3, "pooler.dense.bias": torch.randn(size) * 0.3}


def random_model(model_type: str, vocabulary: int, seed: int = 0, **config: object) -> PreTrainedModel:
    numbers: dict[str, object] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66 if model_type in _OFFSET else 64,
        "pad_token_id": 1 if model_type in _OFFSET else 0,
    }
    if model_type == "distilbert":
        own = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
        own["intermediate_size"] = "hidden_dim"
        numbers = {own.get(name, name): value for name, value in numbers.items()}
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **(numbers | config)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(
                torch.randn_like(parameter) * 0.3
                + (1 if name.lower().replace("_", "").endswith("layernorm.weight") else 0)
            )
    return model.eval()


def make_sentence_transformers(
    folder: Path,
    *,
    mode: str = "mean_tokens",
    max_seq_length: int | None = 48,
    transformer: str = "",
    extra: str = "Normalize",
    model_type: str = "bert",
    **config: object,
) -> Path:
    """Wrap a small checkpoint in sentence-transformers' folder structure.

    Args:
        folder: created where it does not exist.
        mode: how it pools, such as "cls_token".
        max_seq_length: its longest text.
        transformer: the transformer module's subfolder.
        extra: the kind of its last module.
        model_type: of its transformer.
        config: overrides of the small model's numbers.
    """
    make_checkpoint(folder / transformer, model_type=model_type, **config)  # type: ignore[arg-type]
    modules = [(transformer, "Transformer"), ("1_Pooling", "Pooling"), (f"2_{extra}", extra)]
    write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
    )
    settings = {"max_seq_length": max_seq_length, "do_lower_case": False}
    write_json(folder / transformer / "sentence_bert_config.json", settings)
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling/config.json", {f"pooling_mode_{m}": m == mode for m in modes})
    return folder


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def edit_json(path: Path, **changes: object) -> None:
    """Set keys of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | changes
    write_json(path, {key: value for key, value in content.items() if value is not None})


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """Rewrite ``model.safetensors`` in ``folder`` as ``change`` returns its tensors."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def _write_vocabulary(folder: Path, model_type: str) -> int:
    if model_type == "roberta":
        bpe = ByteLevelBPETokenizer()
        specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        bpe.train_from_iterator(CORPUS, vocab_size=400, special_tokens=specials, show_progress=False)
        bpe.save_model(str(folder))
        return bpe.get_vocab_size()
    if model_type in _UNIGRAM:
        return _write_unigram(folder, _UNIGRAM[model_type])
    specials = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"] if model_type == "mpnet" else _BERT_SPECIALS
    entries = [*specials, *_PIECES.split(), *dict.fromkeys(_LETTERS)]
    entries += [f"##{letter}" for letter in dict.fromkeys(_LETTERS)]
    entries = list(dict.fromkeys(entries))
    (folder / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    if model_type == "modernbert":  # its tokenizer has no class of its own
        BertWordPieceTokenizer({entry: i for i, entry in enumerate(entries)}).save(str(folder / "tokenizer.json"))
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        settings = dict(zip(names, specials, strict=True))
        write_json(folder / "tokenizer_config.json", settings | {"tokenizer_class": "PreTrainedTokenizerFast"})
    return len(entries)


def _write_unigram(folder: Path, specials: Sequence[str]) -> int:
    padding, unknown, first, last = specials
    order = (
        [first, padding, last, unknown] if padding == "<pad>" and first == "<s>" else [padding, unknown, first, last]
    )
    words = [f"\u2581{word}" for word in _PIECES.replace("##", "").split()]
    pieces = list(dict.fromkeys([*order, *words, "\u2581", *_LETTERS]))
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], order.index(unknown)))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(order)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(name, order.index(name)) for name in (first, last)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size() + 5  # the libraries' classes add special tokens of their own


def _write_weights(folder: Path, state: dict[str, torch.Tensor], name: str, shards: int) -> None:
    def write(part: dict[str, torch.Tensor], path: Path) -> None:
        if name.endswith(".safetensors"):
            save_file(part, path, metadata={"format": "pt"})
        else:
            torch.save(part, path)

    if shards == 1:
        write(state, folder / name)
        return
    stem, suffix = name.split(".")
    names: Sequence[str] = list(state)
    weight_map = {}
    for i in range(shards):
        file = f"{stem}-{i + 1:05}-of-{shards:05}.{suffix}"
        part = {key: state[key] for key in names[i::shards]}
        write(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    write_json(folder / f"{name}.index.json", {"metadata": {}, "weight_map": weight_map})
