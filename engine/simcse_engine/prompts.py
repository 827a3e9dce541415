"""Prompts: what is put before texts, as sentence-transformers does it; an artifact has those of its checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import InputTypeError, InputValueError
from .wording import Wording, argument

# The names that are looked for, in this order, for queries and for the documents they look for.
QUERY, DOCUMENT = ("query",), ("document", "passage", "corpus")


class Prompts:
    """The prompts of an artifact, by name.

    Attributes:
        by_name: each prompt; an empty one puts nothing before a text.
        default: the name of the one for texts of no stated kind; None for none.
    """

    # By hand, as a dataclass takes half a millisecond of every start.
    def __init__(self, by_name: Mapping[str, str], default: str | None = None) -> None:
        self.by_name = by_name
        self.default = default

    def choose(self, name: str | None, prompt: str | None, kind: Sequence[str] = ()) -> str:
        """The prompt to put before texts; "" for none.

        Args:
            name: one of those here; not looked at if there is a ``prompt``, as in sentence-transformers.
            prompt: the prompt itself, whatever the artifact has.
            kind: the names for the kind of texts, `QUERY` or `DOCUMENT`: without ``name`` and ``prompt``, the first
                that is here decides, and else the default.

        Raises:
            InputTypeError: ``prompt`` is no `str`.
            InputValueError: no such prompt, or one with a lone surrogate.
        """
        if prompt is not None:
            return _checked(prompt)
        if name is None:
            name = next((each for each in kind if each in self.by_name), self.default)
            return "" if name is None else self.by_name[name]
        if not isinstance(name, str):
            raise InputTypeError(argument("prompt_name", name), ": expected a str")
        if name not in self.by_name:
            known = ", ".join(map(repr, self.by_name)) or "none"
            raise InputValueError(argument("prompt_name", name), f": this artifact's prompts are {known}")
        return self.by_name[name]

    def for_kind(self, kind: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of `Encoder.encode`, whose prompt is that for a kind of texts unless they choose one."""
        prompt = self.choose(options.get("prompt_name"), options.get("prompt"), kind)
        return {**options, "prompt_name": None, "prompt": prompt}


def _checked(prompt: object) -> str:
    if not isinstance(prompt, str):
        raise InputTypeError(argument("prompt", prompt), ": expected a str")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InputValueError(
            argument("prompt", prompt),
            f": holds a lone surrogate ({prompt[error.start]!a}) at character {error.start}; ",
            Wording("decode it with errors='replace' where it is read", "give it as UTF-8"),
        ) from error
    return prompt
