"""The reference: the checkpoint run by transformers itself, through its own loading code, in float32.

It shares no code with the graph writers, so their faults show as differences.
"""

import inspect
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN

from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_engine.session.library import first_line

from ..tail.part import Part
from .architecture import key_of
from .checkpoint import Checkpoint
from .quiet import quiet
from .tokenizer import load_tokenizer
from .transformers_5 import IS_4, model_settings

# The head of pooler "cls": weight [out, in] and bias of its dense layer.
Head = tuple[NDArray[np.float32], NDArray[np.float32]]

# transformers strips its own prefix (bert.), but not that of torch's DataParallel around it (module.).
_WRAPPING = {r"^module\.((bert|roberta|distilbert|mpnet)\.)?": ""}


class Reference:
    """A checkpoint's model and tokenizer as transformers loads them."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Load the tokenizer; the model follows on first use."""
        self._checkpoint = checkpoint
        _require_activation(checkpoint)
        self.tokenizer = load_tokenizer(checkpoint)

    @cached_property
    def config(self) -> PretrainedConfig:
        """The config, with transformers' own values for what the file leaves out."""
        folder = self._checkpoint.folder
        try:
            with quiet():
                return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise CheckpointError(f"{folder}: transformers cannot load its config ({first_line(error)})") from error

    @cached_property
    def model(self) -> PreTrainedModel:
        """The encoder in float32."""
        model = _load_model(self._checkpoint)
        rows = model.get_input_embeddings().weight.shape[0]
        last = max(self.tokenizer.get_vocab().values())
        if last >= rows:
            raise CheckpointError(
                f"{self._checkpoint.folder}: the tokenizer gives ids up to {last}, the model has embeddings for {rows}"
            )
        return model

    @cached_property
    def _inputs(self) -> Collection[str]:
        """What the model takes, by name."""
        names = inspect.signature(self.model.forward).parameters
        if "token_type_ids" in names and any(self.tokenizer("a").get("token_type_ids", ())):
            raise UnsupportedModelError(
                f"{self._checkpoint.folder}: its tokenizer gives tokens another type than 0, which no artifact does"
            )
        return names

    def encode(
        self,
        text: str,
        *,
        pooler: str,
        head: Head | None,
        tail: Sequence[Part] = (),
        max_tokens: int,
        truncate_dim: int | None,
        normalize: bool,
        skipped: int = 0,
    ) -> NDArray[np.float32]:
        """One text's vector, float32 [dimension], as SimCSE's ``evaluation.py`` or sentence-transformers computes it.

        It runs alone, so that no padding is involved, and is cut at ``max_tokens``. Pooler "cls" needs its ``head``.
        The ``tail`` makes others of the pooled vector; of the last one, ``truncate_dim`` floats are kept.
        Pooling leaves out ``skipped`` first tokens.
        """
        batch = self.tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
        # A tokenizer may give what its model does not take, as token types of a DistilBERT.
        batch = {name: tensor for name, tensor in batch.items() if name in self._inputs}
        with torch.inference_mode():
            try:
                output = self.model(**batch, output_hidden_states=True, return_dict=True)
            except Exception as error:  # what the config says may not suit any layer of torch
                folder = self._checkpoint.folder
                raise CheckpointError(f"{folder}: transformers cannot run it ({first_line(error)})") from error
            states = output.hidden_states
            # What pooling leaves out: a prompt's tokens.
            states = [each[:, skipped:] for each in states]
            last = output.last_hidden_state[:, skipped:]
            first = last[:, 0]
            if pooler == "cls":
                weight, bias = (torch.from_numpy(part) for part in head or ())
                vector = torch.tanh(torch.nn.functional.linear(first, weight, bias))
            elif pooler == "cls_before_pooler":
                vector = first
            elif pooler == "avg":
                vector = last.mean(1)
            elif pooler == "avg_top2":
                vector = ((states[-2] + states[-1]) / 2).mean(1)
            elif pooler == "avg_first_last":
                vector = ((states[1] + states[-1]) / 2).mean(1)
            elif pooler == "max":
                vector = last.amax(1)
            elif pooler == "mean_sqrt_len":
                vector = last.sum(1) / last.shape[1] ** 0.5
            elif pooler == "weightedmean":
                weights = torch.arange(skipped + 1, skipped + last.shape[1] + 1)[:, None]
                vector = (last * weights).sum(1) / weights.sum()
            else:
                vector = last[:, -1]
            for part in tail:
                vector = torch.from_numpy(part.reference(vector.numpy()))
            vector = vector[:, :truncate_dim]
            if normalize:
                vector = torch.nn.functional.normalize(vector, dim=1)
        result: NDArray[np.float32] = vector[0].numpy()
        return result

    def count_prompt(self, prompt: str, max_tokens: int) -> int:
        """The first tokens of a text behind a prompt that pooling leaves out, as sentence-transformers counts them."""
        ids = self.tokenizer(prompt, truncation=True, max_length=max_tokens)["input_ids"]
        return len(ids) - (ids[-1] in self.tokenizer.all_special_ids)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special ones included, without a limit."""
        with quiet():
            return len(self.tokenizer(text)["input_ids"])

    def save_tokenizer(self, path: Path) -> None:
        """Write the tokenizer as ``tokenizer.json``, its own padding and truncation switched off."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_padding()
        backend.no_truncation()
        path.write_text(backend.to_str(pretty=False), encoding="utf-8")


def _require_activation(checkpoint: Checkpoint) -> None:
    """Refuse an activation that transformers does not have; its own message would speak of what it loads first."""
    key = key_of(checkpoint.config, "hidden_act")
    activation = checkpoint.config.get(key, "gelu")
    if not isinstance(activation, str) or activation not in ACT2FN:
        path = checkpoint.folder / "config.json"
        raise UnsupportedModelError(f"{path}: {key} {activation!r} is unknown to transformers")


def _load_model(checkpoint: Checkpoint) -> PreTrainedModel:
    folder, settings = checkpoint.folder, model_settings(checkpoint.config)
    try:
        with quiet():
            model, info = AutoModel.from_pretrained(
                folder,
                **{"torch_dtype" if IS_4 else "dtype": torch.float32},
                attn_implementation="eager",
                local_files_only=True,
                trust_remote_code=False,
                key_mapping=_WRAPPING,
                chunk_size_feed_forward=0,  # a setting of training, which refuses lengths that it does not divide
                output_loading_info=True,
                **settings,
            )
    except Exception as error:
        raise CheckpointError(f"{folder}: transformers cannot load it ({first_line(error)})") from error
    # Missing weights are random now. Only the pooler's may be: its head is read from the files, never from this model.
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise CheckpointError(
            f"{folder}: the weights lack {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}; "
            "they are not those of this config, or incomplete"
        )
    return model.eval()
