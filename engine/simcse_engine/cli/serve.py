"""The command `serve`: an artifact, and an index if there is one, over HTTP."""

import argparse

from .arguments import Commands, add_artifact, add_command, add_encoder_options, count


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    serve = add_command(commands, "serve", "answer over HTTP, as OpenAI and text-embeddings-inference do", run)
    add_artifact(serve)
    serve.add_argument("--index", metavar="INDEX", help="the folder of an index to search, add to and remove from")
    serve.add_argument("--hostname", metavar="HOST", default="127.0.0.1", help="where to listen (default: %(default)s)")
    serve.add_argument("--port", type=int, metavar="N", default=8080, help="0 for any (default: %(default)s)")
    serve.add_argument("--uds", metavar="PATH", help="a Unix domain socket to listen on instead")
    serve.add_argument("--max-concurrent-requests", type=count, metavar="N", default=512)
    serve.add_argument("--max-batch-tokens", type=count, metavar="N", default=4096)
    serve.add_argument("--max-queued-tokens", type=count, metavar="N")
    serve.add_argument("--max-client-batch-size", type=count, metavar="N", default=2048)
    serve.add_argument("--auto-truncate", action="store_true", help="cut longer texts where a request does not say")
    serve.add_argument("--api-key", metavar="KEY")
    add_encoder_options(serve)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..encoder import Encoder
    from ..index import Index
    from ..serve import ServeOptions
    from ..serve.application import Application
    from ..serve.server import Address
    from ..serve.server import run as run_server
    from ..serve.service import Service

    options = ServeOptions(
        max_concurrent_requests=args.max_concurrent_requests,
        max_batch_tokens=args.max_batch_tokens,
        max_queued_tokens=args.max_queued_tokens,
        max_client_batch_size=args.max_client_batch_size,
        auto_truncate=args.auto_truncate,
        api_key=args.api_key,
    )
    with Encoder(args.artifact, device=args.device, threads=args.threads) as encoder:
        index = Index.open(args.index, artifact=encoder) if args.index else None
        service = Service(encoder, index, options)
        run_server(Application(service), Address(host=args.hostname, port=args.port, uds=args.uds), drain_s=30)
