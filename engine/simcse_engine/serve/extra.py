"""The libraries of the extra `serve`, and the error where one is missing."""

from ..errors import RuntimeMissingError


def missing(error: ModuleNotFoundError) -> Exception:
    """RuntimeMissingError for a library of the extra that is not installed; any other error is itself."""
    library = error.name  # a module inside one of them is missing where its version is not one that we know
    if library not in ("uvicorn", "httptools", "msgspec", "orjson", "prometheus_client"):
        return error
    return RuntimeMissingError(f"serving needs {library}, which is not installed; pip install 'simcse-engine[serve]'")
