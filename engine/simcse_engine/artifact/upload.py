"""Uploading: files into a repository on the Hugging Face hub, all in one commit or none."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .._version import __version__
from ..errors import InputValueError, OutputError
from ..wording import Wording
from .hub import split_hub_id

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_LOGIN = "log in with hf auth login, or set HF_TOKEN"


def check_upload(where: str, *, private: bool = False) -> None:
    """Raise what `upload` would raise for sure, so that a caller can ask before hours of work.

    Raises:
        InputValueError: ``where`` is no hub id.
        OutputError: no connection; no token, one that the hub does not know, or one that only reads; or a repository
            that everybody can read where it is to be ``private``.
    """
    from huggingface_hub import HfApi

    repo, _ = _place(where)
    api = HfApi()
    with _as_output_error(repo):
        token = api.whoami().get("auth", {}).get("accessToken") or {}
        if token.get("role") == "read":
            raise OutputError(f"{repo}: cannot be pushed to the hub: {_may_not_write(repo)}")
        if private and api.repo_exists(repo):
            _check_private(api, repo)


def upload(where: str, contents: Mapping[str, Path | bytes], *, message: str, private: bool = False) -> str:
    """Commit files to a repository of the hub, and return its address; other files there stay.

    Args:
        where: ``user/name``, or ``user/name@branch``; repository and branch are made where there are none.
        contents: by name in the repository, a file here or its content.
        message: the commit's.
        private: make a private repository, and refuse one that everybody can read.

    Raises:
        InputValueError: ``where`` is no hub id.
        OutputError: the hub does not take it; the message says why. No file of the repository was changed; one that
            was made for this, or a branch, stays, empty.
    """
    # Imported lazily: it takes 0.1 s that nobody else need pay.
    from huggingface_hub import CommitOperationAdd, HfApi

    repo, branch = _place(where)
    api = HfApi(library_name="simcse-engine", library_version=__version__)
    with _as_output_error(repo):
        address = api.create_repo(repo, private=private or None, exist_ok=True)
        if private:
            _check_private(api, repo)
        if branch is not None:
            api.create_branch(repo, branch=branch, exist_ok=True)
        files = [CommitOperationAdd(name, content) for name, content in contents.items()]
        api.create_commit(repo, files, commit_message=message, revision=branch)
    return str(address)


def _check_private(api: "HfApi", repo: str) -> None:
    if not api.model_info(repo).private:
        raise OutputError(
            f"{repo}: is there already, and everybody can read it; choose another name, make it private on the "
            "hub, or leave out ",
            Wording("private=True", "--private"),
        )


def _may_not_write(repo: str) -> str:
    return f"this token may not write there; take one that may write as {repo.partition('/')[0]}"


def _place(where: str) -> tuple[str, str | None]:
    place = split_hub_id(where)
    if place is None:
        problem = "is no hub id; expected user/name or user/name@branch"
        raise InputValueError(Wording(f"repo_id={where!r:.80}", f"--push-to-hub {where!s:.80}"), f": {problem}")
    return place


@contextlib.contextmanager
def _as_output_error(repo: str) -> Iterator[None]:
    """Turn what huggingface_hub, and below it requests or httpx, raise within the block into OutputError."""
    from huggingface_hub.utils import HfHubHTTPError

    # What a release's library for HTTP raises where there is no connection derives from the first, or from OSError.
    library: type[Exception] = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    try:
        yield
    except (library, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OutputError | InputValueError):
            raise
        raise OutputError(f"{repo}: cannot be pushed to the hub: {_reason(error, repo)}") from error


def _reason(error: Exception, repo: str) -> str:
    from huggingface_hub import constants, get_token

    owner = repo.partition("/")[0]
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set; unset it"
    if get_token() is None:
        return f"there is no token here; {_LOGIN}"
    if status == 401:
        return f"it does not know this token; {_LOGIN}"
    if status == 403:
        return _may_not_write(repo)
    if status == 404:
        return f"it knows no user or organization {owner}, or shows this token none"
    if status is None and not isinstance(error, ValueError | RuntimeError) and not getattr(error, "filename", None):
        return f"{constants.ENDPOINT} cannot be reached ({said})"
    return said
