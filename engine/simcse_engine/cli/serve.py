"""The command `serve`: an artifact, and an index if there is one, over HTTP."""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..errors import InputValueError
from .arguments import PROGRAM, Commands, add_artifact, add_command, add_encoder_options, count, number
from .output import print_report
from .streams import flush_stdout, print_message, settle

if TYPE_CHECKING:
    from ..serve.server.address import Address

KEY_VARIABLE = "SIMCSE_API_KEY"


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    serve = add_command(
        commands,
        "serve",
        "answer over HTTP, as OpenAI and text-embeddings-inference do",
        run,
        "SIGTERM and Ctrl-C end it once the requests under way are answered, a second one at once.",
    )
    add_artifact(serve)
    serve.add_argument("--index", metavar="INDEX", help="the folder of an index to search, add to and remove from")
    serve.add_argument("--read-only", action="store_true", help="refuse changes of the index")
    serve.add_argument(
        "--same-model", action="store_true", help="accept an index of the same model in another precision"
    )
    serve.add_argument("--hostname", metavar="HOST", default="127.0.0.1", help="where to listen (default: %(default)s)")
    serve.add_argument("--port", type=_whole, metavar="N", default=8080, help="0 for any (default: %(default)s)")
    serve.add_argument(
        "--uds", metavar="PATH", help="a Unix domain socket to listen on instead, for its owner and group (mode 660)"
    )
    serve.add_argument("--api-key", metavar="KEY", help="what requests must show; all users of this machine see it")
    serve.add_argument(
        "--api-key-file",
        metavar="FILE",
        help=f"a file that has the key, or the variable {KEY_VARIABLE} in the environment; both keep it to themselves",
    )
    serve.add_argument("--model-name", metavar="NAME", help="the name in answers (default: the artifact's source)")
    serve.add_argument(
        "--max-concurrent-requests",
        type=count,
        metavar="N",
        default=512,
        help="requests under way; one more gets 429 (default: %(default)s)",
    )
    serve.add_argument(
        "--max-batch-tokens",
        type=count,
        metavar="N",
        help="about how many tokens the engine takes up together (default: what the device needs)",
    )
    serve.add_argument(
        "--max-queued-tokens",
        type=count,
        metavar="N",
        help="with so many tokens waiting, requests get 429 (default: what this machine encodes in half a second)",
    )
    serve.add_argument(
        "--max-client-batch-size",
        type=count,
        metavar="N",
        default=2048,
        help="texts per request; more get 422 (default: %(default)s)",
    )
    serve.add_argument(
        "--payload-limit",
        type=count,
        metavar="BYTES",
        default=2_000_000,
        help="of a request's body; more get 413 (default: %(default)s)",
    )
    serve.add_argument(
        "--auto-truncate", action="store_true", help="cut longer texts where a request does not say, instead of 413"
    )
    serve.add_argument("--max-tokens", type=count, metavar="N", help="a lower limit of a text than the artifact's")
    serve.add_argument(
        "--cache-bytes",
        type=_whole,
        metavar="BYTES",
        default=0,
        help="memory for the vectors of texts that come again (default: no cache)",
    )
    serve.add_argument(
        "--body-timeout",
        type=number,
        metavar="SECONDS",
        default=30.0,
        help="in which a request must arrive, or 408 (default: %(default)s)",
    )
    serve.add_argument(
        "--drain-seconds",
        type=number,
        metavar="SECONDS",
        default=30.0,
        help="in which requests under way may finish at the end (default: %(default)s)",
    )
    serve.add_argument("--access-log", action="store_true", help="log every request, not only failures")
    serve.add_argument("--log-texts", action="store_true", help="let the log hold the texts of requests")
    add_encoder_options(serve, several=True)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..encoder import Encoder
    from ..serve import ServeOptions
    from ..serve.application import Application
    from ..serve.logs import logging_json
    from ..serve.server.address import Address, url_of
    from ..serve.server.hosts import local_names
    from ..serve.server.server import run as run_server
    from ..serve.service import Service

    options = ServeOptions(
        max_concurrent_requests=args.max_concurrent_requests,
        max_batch_tokens=args.max_batch_tokens,
        max_queued_tokens=args.max_queued_tokens,
        max_client_batch_size=args.max_client_batch_size,
        payload_limit=args.payload_limit,
        auto_truncate=args.auto_truncate,
        api_key=_api_key(args),
        cache_bytes=args.cache_bytes,
        model_name=args.model_name,
        body_timeout_s=args.body_timeout,
        access_log=args.access_log,
        log_texts=args.log_texts,
    )
    if not args.drain_seconds >= 0:
        raise InputValueError(f"--drain-seconds {args.drain_seconds:g}: expected a number of seconds from 0 on")
    address = Address(host=args.hostname, port=args.port, uds=args.uds)
    with contextlib.ExitStack() as at_end:
        # Before anything is loaded: an address that cannot be had is found at once.
        bound = at_end.enter_context(address.taken())
        encoder = at_end.enter_context(
            Encoder(
                args.artifact,
                device=args.device,
                devices=args.devices,
                threads=args.threads,
                max_tokens=args.max_tokens,
            )
        )
        index = None
        if args.index is not None:
            from ..index import Index

            index = at_end.enter_context(
                Index.open(
                    args.index,
                    artifact=encoder,
                    read_only=True if args.read_only else None,
                    same_model=args.same_model,
                )
            )
        service = Service(encoder, index, options)
        url = url_of(bound)

        at_end.enter_context(logging_json(sys.stderr))

        def started() -> None:
            report = {"url": url, "model": service.model_name, "identity": encoder.manifest.identity}
            print_report(args, report, f"{PROGRAM}: serving {service.model_name} at {url}")
            flush_stdout()

        ended = run_server(
            Application(service, local_names(bound, address.host) if options.api_key is None else None),
            address,
            bound,
            drain_s=args.drain_seconds,
            started=started,
            insisted=lambda number: _end_at_once(address, number),
        )
    if service.state == "failed":
        print_message(f"{PROGRAM}: could not encode, or search, and has ended; the log above says why")
        return 1
    if ended:
        requests, were = ("request", "was") if ended == 1 else ("requests", "were")
        print_message(f"{PROGRAM}: {ended:,} {requests} took longer than --drain-seconds, and {were} not answered")
    return 1 if ended else 0


def _api_key(args: argparse.Namespace) -> str | None:
    """The key of the option, the file or the environment."""
    if args.api_key is not None and args.api_key_file is not None:
        raise InputValueError("--api-key and --api-key-file are two keys; leave one of them out")
    if args.api_key is not None:
        return str(args.api_key)
    if args.api_key_file is not None:
        key = Path(args.api_key_file).read_text(encoding="utf-8", errors="replace").strip("\r\n")
        if not key:
            raise InputValueError(f"{args.api_key_file}: is empty; expected an API key")
        return key
    found = os.environ.get(KEY_VARIABLE)
    if found == "":
        # Whoever sets it wants one: the secret that it comes from is missing.
        raise InputValueError(f"{KEY_VARIABLE} is set, and empty; expected an API key, or unset it to serve without")
    return found


def _end_at_once(address: "Address", number: int) -> NoReturn:
    print_message(f"{PROGRAM}: ended at once; requests under way were not answered")
    if address.uds is not None:
        Path(address.uds).unlink(missing_ok=True)
    settle()
    os._exit(128 + number)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)
