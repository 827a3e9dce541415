"""Messages in the words of where they appear: Python's arguments, or the options of the command line.

>>> error = InputValueError(argument("max_tokens", 64), ": the artifact's limit is 32")
>>> print(error)
max_tokens=64: the artifact's limit is 32
>>> print(error.on_command_line())
--max-tokens 64: the artifact's limit is 32
"""

from typing import Any

_JSON_KINDS = {
    "dict": "an object",
    "list": "a list",
    "str": "a string",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "NoneType": "null",
}


class Wording:
    """A part of a message that is said in two ways."""

    # By hand, as a dataclass takes half a millisecond of every start.
    def __init__(self, python: str, command_line: str) -> None:
        self.python = python
        self.command_line = command_line

    def __getitem__(self, inner: object) -> "Wording":
        """The wording of what lies within, as in ``metadata[3]['year']``."""
        return Wording(f"{self.python}[{inner!r}]", f"{self.command_line}[{inner!r}]")

    def cut(self) -> "Wording":
        """The first characters, of what may lie deep within."""
        return Wording(f"{self.python:.60}", f"{self.command_line:.60}")


def shown(value: object) -> str:
    """A caller's value in a message: how Python writes it, cut; it writes no whole number of some thousand digits.

    >>> shown(10**5000)
    'an int of 16,610 bits'
    """
    try:
        return f"{value!r:.40}"
    except ValueError:
        return f"an int of {value.bit_length():,} bits" if isinstance(value, int) else f"a {type(value).__name__}"


def argument(name: str, value: object) -> Wording:
    """An argument with its value, such as ``same_model=True``, which is the option ``--same-model``."""
    option, text = f"--{name.replace('_', '-')}", value if isinstance(value, str) else shown(value)
    return Wording(f"{name}={shown(value)}", option if value is True else f"{option} {text:.40}")


def item(name: str, position: int, *, called: str) -> Wording:
    """An item of a caller's list, such as ``texts[0]``, which whoever has a file or words calls "text 1"."""
    return Wording(f"{name}[{position}]", f"{called} {position + 1:,}")


def kind_of(value: object) -> Wording:
    """What a value is: its type in Python, and what JSON calls it, in which the command line has it."""
    kind = type(value).__name__
    return Wording(kind, _JSON_KINDS.get(kind, kind))


class Worded:
    """Makes an exception's message of its arguments, which are strings and `Wording`."""

    args: tuple[Any, ...]

    def __str__(self) -> str:
        return "".join(part.python if isinstance(part, Wording) else str(part) for part in self.args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def on_command_line(self) -> str:
        """The message as the command line prints it."""
        return "".join(part.command_line if isinstance(part, Wording) else str(part) for part in self.args)
