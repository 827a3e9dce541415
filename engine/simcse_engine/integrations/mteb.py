"""MTEB: an artifact as the `EncoderProtocol` that the benchmark's tasks ask."""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import GRAPH, WEIGHTS
from ..measure.cosines import pair_cosines
from ..options import OpenOptions
from ..prompts import DOCUMENT, QUERY
from .encoders import Artifact, Embedder
from .frameworks import framework

with framework("mteb"):
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    from mteb.types import PromptType


class SimCSEEncoder(AbsEncoder):
    """Encodes a task's texts: the first of these prompts that the artifact has is put before them, as MTEB does it.

    The task's by its name, its type's, each perhaps for queries or for documents alone; then that of
    `Encoder.encode_query` or `Encoder.encode_document` where a task tells the two apart, else that of `Encoder.encode`.
    """

    def __init__(
        self,
        artifact: Artifact,
        revision: str | None = None,
        *,
        dimensions: int | None = None,
        **options: Unpack[OpenOptions],
    ) -> None:
        """Open an artifact.

        Args:
            artifact: its folder, its hub id, or an open `Encoder`.
            revision: the identity that it must have; None for any.
            dimensions: keep only so many numbers of each vector, at unit length again; None for all.
            options: as for `Encoder`: ``device``, ``threads``, ``truncate``, ``max_tokens``, ``optimize_for``.
        """
        embedder = Embedder(artifact, dimensions=dimensions, identity=revision, **options).open()
        self.model, self._dimensions = embedder.encoder, dimensions
        self.model_prompts = dict(self.model.manifest.prompts)
        self.mteb_model_meta = self._meta(embedder.size)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,  # noqa: ARG002  (the protocol's)
        hf_subset: str,  # noqa: ARG002
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> NDArray[Any]:
        """Encode the texts of all batches: [texts, dimensions], of the type that ``precision`` among kwargs names."""
        texts = [text for batch in inputs for text in batch["text"]]
        name = self.get_prompt_name(task_metadata, prompt_type)
        kind = {None: (), PromptType.query: QUERY, PromptType.document: DOCUMENT}[prompt_type]
        return self.model.encode(
            texts,
            prompt=self.model.prompts.choose(name, None, kind),
            dimensions=self._dimensions,
            dtype=kwargs.get("precision", "float32"),
            progress=kwargs.get("show_progress_bar", False),
        )

    def similarity_pairwise(self, embeddings1: NDArray[Any], embeddings2: NDArray[Any]) -> NDArray[np.float64]:
        """The cosine of each vector and its counterpart, as ``simcse-engine evaluate`` computes it: float64 [n]."""
        first, both = np.arange(len(embeddings1)), np.concatenate([embeddings1, embeddings2])
        return pair_cosines(both, first, first + len(first))

    def _meta(self, size: int) -> ModelMeta:
        """What the manifest says of the artifact; of the checkpoint's languages, data and licence it says nothing."""
        manifest = self.model.manifest
        unknown = ("languages", "release_date", "license", "open_weights", "n_parameters")
        unpublished = ("public_training_code", "public_training_data", "training_datasets")
        return ModelMeta(
            loader=None,
            # MTEB wants an organization before the name.
            name=f"simcse-engine/{manifest.source.id.split('/')[-1]}",
            revision=manifest.identity,
            adapted_from=manifest.source.id,
            embed_dim=size,
            max_tokens=self.model.max_tokens,
            memory_usage_mb=sum(manifest.files[file].size_bytes for file in (GRAPH, WEIGHTS)) / 2**20,
            framework=["ONNX"],
            similarity_fn_name=ScoringFunction.COSINE,
            use_instructions=any(manifest.prompts.values()),
            # By which MTEB tells results apart that it keeps; the revision tells artifacts apart, with their prompts.
            experiment_kwargs={
                "pooler": manifest.pooler,
                "precision": manifest.precision,
                "dimensions": size,
                "max_tokens": self.model.max_tokens,
            },
            **dict.fromkeys(unknown + unpublished),
        )
