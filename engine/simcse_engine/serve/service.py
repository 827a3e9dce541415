"""Service: what all routes share, and the one way in which they encode."""

from collections.abc import Sequence

from ..batching import AsyncEncoder, BatchingOptions, Encoded
from ..encoder import Encoder
from ..index import Index
from ..inputs import Truncate
from .http import Request
from .options import ServeOptions
from .problems import Problem


class Service:
    """An encoder, perhaps an index, and their limits.

    Attributes:
        ready: whether it is warm, and takes requests.
    """

    def __init__(self, encoder: Encoder, index: Index | None, options: ServeOptions) -> None:
        self.encoder = encoder
        self.index = index
        self.options = options
        self.ready = False
        self.batching = AsyncEncoder(
            encoder,
            BatchingOptions(
                batch_tokens=options.max_batch_tokens,
                max_queued_tokens=options.max_queued_tokens,
                cache_bytes=options.cache_bytes,
            ),
        )

    @property
    def model_name(self) -> str:
        """The name that answers bear."""
        return self.options.model_name or self.encoder.manifest.source.id

    async def encode(self, request: Request, texts: Sequence[str], truncate: bool | None, *, param: str) -> Encoded:
        """Encode a request's texts within the limits; ``param`` is the member that they are."""
        limit = self.options.max_client_batch_size
        if len(texts) > limit:
            raise Problem(
                422,
                f"{param} has {len(texts):,} texts, the limit of this service is {limit:,} (--max-client-batch-size)",
                param=param,
            )
        cuts = self.options.auto_truncate if truncate is None else truncate
        policy: Truncate = "silent" if cuts else "error"
        encoded = await self.batching.encode_counted(texts, truncate=policy)
        request.encoded.append(encoded)
        return encoded
