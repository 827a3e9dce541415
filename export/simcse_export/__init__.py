"""simcse-export: trained SimCSE checkpoints → artifacts that `simcse_engine.Encoder` runs.

>>> from simcse_export import ExportOptions, export
>>> export(checkpoint, folder, ExportOptions(pooler="cls")).pooler
'cls'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import ExportOptions
    from .pipeline import export

__all__ = ["ExportOptions", "export"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch and transformers take seconds, and the command has something to say without them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import pipeline

    return getattr(pipeline, name)
