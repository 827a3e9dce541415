"""simcse-export: trained SimCSE checkpoints → artifacts that `simcse_engine.Encoder` runs.

>>> from simcse_export import ExportOptions, export
>>> export(checkpoint, folder, ExportOptions(pooler="cls")).pooler
'cls'
"""

from .pipeline import ExportOptions, export

__all__ = ["ExportOptions", "export"]
