"""Adapters without their frameworks say what to install."""

import importlib
import importlib.util

import pytest

from simcse_engine.errors import RuntimeMissingError


@pytest.mark.parametrize(
    ("adapter", "module", "distribution"),
    [
        ("chroma", "chromadb", "chromadb"),
        ("haystack", "haystack", "haystack-ai"),
        ("lancedb", "lancedb", "lancedb"),
        ("langchain", "langchain_core", "langchain-core"),
        ("llama_index", "llama_index", "llama-index-core"),
        ("mteb", "mteb", "mteb"),
    ],
)
def test_an_absent_framework_is_named_with_its_distribution(adapter: str, module: str, distribution: str) -> None:
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    with pytest.raises(RuntimeMissingError, match=f"No module named '{module}.*'; pip install {distribution}$"):
        importlib.import_module(f"simcse_engine.integrations.{adapter}")
