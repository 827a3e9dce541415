"""Everything the engine raises on purpose.

SimCSEError
├── ArtifactError            an artifact cannot be used in its present state
│   ├── ArtifactNotFoundError    no such folder, or no artifact in it
│   ├── IntegrityError           a file is missing, altered or not what the manifest says
│   ├── FormatVersionError       written in a format that this engine does not read
│   └── NotCompiledError         it holds no plan that this GPU and this TensorRT can load
├── SearchIndexError         an index cannot be used in its present state, or not in this way
│   ├── IndexNotFoundError       no such folder, or no index in it
│   ├── IndexLockedError         another writer has it open
│   ├── IndexMismatchError       the encoder or the vectors are of another artifact
│   ├── IndexDamagedError        a file is missing, truncated or altered
│   └── IndexVersionError        written in a format that this engine does not read
├── RuntimeMissingError      onnxruntime is absent, two builds of it overwrite each other, or an extra is not installed
├── ProviderError            the requested device cannot run here, or not this artifact
├── CompileError             TensorRT, or TensorRT for RTX, makes no plan of a graph
├── InputTypeError           texts or options of the wrong type (also a TypeError)
├── InputValueError          texts or options with a wrong value (also a ValueError)
│   └── TruncationError          a text is longer than max_tokens and truncate="error"
├── ClosedError              use after close()
├── QueueFullError           too much is waiting already to accept more
├── OutputError              a result cannot be written to its place
│   └── DiskFullError            the disk, or the quota on it, has no more room
├── ListenError              a service cannot listen at its address
├── LimitError               this process may have no more open files, threads or memory
├── ParityError              vectors differ from the reference model's by more than the precision allows
└── ExportError              (simcse_export) the checkpoint cannot be exported
    ├── CheckpointError          a file of the checkpoint is missing, broken or contradictory
    ├── PoolerError              the pooler is not stated, or the checkpoint has no weights for it
    ├── UnsupportedModelError    an architecture or option that neither graph writer knows
    └── QualityError             the precision costs more quality than was allowed

Warnings are not errors: TruncationWarning counts the texts that were cut where truncate="warn", IndexWarning says that
an index answers more slowly than it should, KernelsWarning that an artifact does, UnverifiedWarning that it was never
verified on its device, and CheckpointWarning (simcse_export) that a checkpoint states what no artifact heeds.
"""

from .wording import Worded, Wording


class SimCSEError(Worded, Exception):
    """The base of all errors that simcse-engine raises on purpose."""


class ArtifactError(SimCSEError):
    """An artifact cannot be used in its present state."""


class ArtifactNotFoundError(ArtifactError):
    """There is no such folder, or no artifact in it."""


class IntegrityError(ArtifactError):
    """A file of the artifact is missing, altered, or not what the manifest says."""


class FormatVersionError(ArtifactError):
    """The artifact is written in a format that this engine does not read."""


class NotCompiledError(ArtifactError):
    """The artifact holds no plan that this GPU and this TensorRT can load; compile it on this machine."""


class SearchIndexError(SimCSEError):
    """An index cannot be used in its present state, or not in this way."""


class IndexNotFoundError(SearchIndexError):
    """There is no such folder, or no index in it."""


class IndexLockedError(SearchIndexError):
    """Another writer has the index open; the message names its process."""


class IndexMismatchError(SearchIndexError):
    """The encoder or the vectors are of another artifact than the index's."""


class IndexDamagedError(SearchIndexError):
    """A file of the index is missing, truncated or altered."""


class IndexVersionError(SearchIndexError):
    """The index is written in a format that this engine does not read."""


class RuntimeMissingError(SimCSEError):
    """ONNX Runtime is absent, two builds of it are installed over each other, or an extra is not installed."""


class ProviderError(SimCSEError):
    """The requested device cannot run here, or cannot run this artifact."""


class CompileError(SimCSEError):
    """TensorRT, or TensorRT for RTX, makes no plan of a graph."""


class InputTypeError(SimCSEError, TypeError):
    """Texts, one of them, or an option are of the wrong type."""


class InputValueError(SimCSEError, ValueError):
    """A text or an option has a value that cannot be used."""


class TruncationError(InputValueError):
    """A text is longer than ``max_tokens``, with ``truncate="error"``."""


class ClosedError(SimCSEError):
    """The encoder or index was used after ``close()``."""


class QueueFullError(SimCSEError):
    """Too much is waiting already to accept more.

    Attributes:
        retry_after_s: seconds after which there may be room, as estimated from the speed of late; at most 60.
    """

    def __init__(self, *message: str | Wording, retry_after_s: float = 1.0) -> None:
        super().__init__(*message)
        self.retry_after_s = retry_after_s


class OutputError(SimCSEError):
    """A result cannot be written to its place; what lies there is untouched."""


class DiskFullError(OutputError):
    """The disk, or the quota on it, has no room for what was to be written."""


class ListenError(SimCSEError):
    """A service cannot listen at its address; the message says why."""


class LimitError(SimCSEError):
    """This process may have no more open files, threads or memory; the message names the limit and its value."""


class ParityError(SimCSEError):
    """Vectors differ from the reference model's by more than the precision allows."""


class ExportError(SimCSEError):
    """The checkpoint cannot be exported."""


class CheckpointError(ExportError):
    """A file of the checkpoint is missing, broken or contradictory."""


class PoolerError(ExportError):
    """The pooler is not stated, or the checkpoint has no weights for it."""


class UnsupportedModelError(ExportError):
    """An architecture, or an option of one, that neither graph writer knows."""


class QualityError(ExportError):
    """The precision costs more quality than was allowed; nothing was published."""


class TruncationWarning(Worded, UserWarning):
    """Texts were longer than ``max_tokens`` and were cut.

    Attributes:
        cut: how many texts were cut.
        total: how many texts were encoded.
    """

    def __init__(self, *message: str | Wording, cut: int = 0, total: int = 0) -> None:
        super().__init__(*message)
        self.cut = cut
        self.total = total


class IndexWarning(Worded, UserWarning):
    """An index answers more slowly than it should: its ANN graph is damaged, or there was no room to keep it up."""


class KernelsWarning(UserWarning):
    """An artifact runs without our kernels, more slowly than this CPU could; the message says why and what to do."""


class UnverifiedWarning(UserWarning):
    """An artifact was verified only on a CPU, not on a device of its target; ``simcse-engine verify`` does that."""


class CheckpointWarning(UserWarning):
    """A checkpoint states what no artifact heeds, such as prompts, or a key that is unknown."""
