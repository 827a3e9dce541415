"""simcse-export: trained SimCSE checkpoints → artifacts that `simcse_engine.Encoder` runs.

>>> from simcse_export import ExportOptions, export
>>> export(checkpoint, folder, ExportOptions(pooler="cls")).pooler
'cls'

These three names are public, all modules private:

- `cli`, `options`, `pipeline`: the command, what it can be told, and its steps in order;
- `hub`, `card`: an artifact pushed to the Hugging Face hub, and what is said of it there;
- `float32`, `variant`, `gate`, `targets`: the steps themselves, the judge, and what each target is written in;
- `checkpoint`, `texts`, `int8`, `graph`, `tensorrt`: what is read, run, quantized, written and compiled;
- `tail`, `whiten`: what stands behind the pooler, and how a part of it is found.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hub import push_to_hub
    from .options import ExportOptions
    from .pipeline import export

__all__ = ["ExportOptions", "export", "push_to_hub"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch and transformers take seconds, which `simcse-export --help` need not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "push_to_hub":
        from .hub import push_to_hub

        return push_to_hub
    from . import pipeline

    return getattr(pipeline, name)
