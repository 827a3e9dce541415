"""An environment with the clients that people already have."""

from pathlib import Path

from support.environments import environment


def python_with_clients() -> Path:
    """The Python of an environment with the clients, in their releases of today; skips where pip has none."""
    return environment(
        "clients",
        "huggingface_hub==2.4.0",
        "langchain-openai==1.7.4",
        "llama-index-embeddings-text-embeddings-inference==0.6.0",
        "openai==3.57.0",
    )
