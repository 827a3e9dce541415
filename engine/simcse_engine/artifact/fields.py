"""The fields of a manifest: what each may be.

Whoever alters a manifest can give it a digest that fits it. So nothing that stands there is taken on trust: after
`check_fields`, every value is of the type and in the range that the rest of the engine counts on.
"""

import re
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .kinds import LAYOUTS, POOLERS, PRECISIONS, TARGETS

# Raises WrongFieldError unless a value, which is named in the error, is right.
Rule = Callable[[str, Any], None]

# Beyond any model; so no library is asked for what it cannot count.
_MOST = 1_000_000
_MOST_BYTES = (1 << 63) - 1
_MOST_NESTED = 20


class WrongFieldError(ValueError):
    """A field is missing, or has a value that it cannot have."""


def _rule(expected: str, holds: Callable[[Any], bool]) -> Rule:
    def check(name: str, value: Any) -> None:
        if not holds(value):
            raise WrongFieldError(f"{name} is {reprlib.repr(value)}, expected {expected}")

    return check


def _or_null(rule: Rule) -> Rule:
    return lambda name, value: None if value is None else rule(name, value)


def _whole(most: int, least: int = 1) -> Rule:
    # Not isinstance, as true and false are numbers in Python.
    return _rule(f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most)


def _one_of(choices: Iterable[str]) -> Rule:
    return _rule(f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices)


def _matching(expected: str, pattern: str) -> Rule:
    return _rule(expected, lambda value: is_text(value) and re.fullmatch(pattern, value) is not None)


def _record(fields: Mapping[str, Rule], others: Rule | None = None) -> Rule:
    """An object with these fields; further ones only by the rule for ``others``."""

    def check(name: str, value: Any) -> None:
        _OBJECT(name or "the manifest", value)
        prefix = f"{name}." if name else ""
        for field, rule in fields.items():
            if field not in value:
                raise WrongFieldError(f"{prefix}{field} is missing")
            rule(f"{prefix}{field}", value[field])
        for field in sorted(value.keys() - fields.keys()):
            if others is None:
                raise WrongFieldError(f"{name} has a field {field!r:.60}, expected {', '.join(fields)} alone")
            others(f"{prefix}{field!r:.60}", value[field])

    return check


def _each(keys: Rule, values: Rule) -> Rule:
    """An object with any number of fields."""

    def check(name: str, value: Any) -> None:
        _OBJECT(name, value)
        for field, each in value.items():
            keys(f"a name in {name}", field)
            values(f"{name}.{field!r:.60}", each)

    return check


def is_text(value: Any) -> bool:
    """Whether a value of JSON is text that UTF-8 can hold: JSON can spell half a surrogate pair, which is none."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _is_number(value: Any) -> bool:
    # Two comparisons that NaN fails, and that whole numbers of any size survive.
    return type(value) in (int, float) and -sys.float_info.max <= value <= sys.float_info.max


def _is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, dict | list):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return depth < _MOST_NESTED and all(_is_plain(each, depth + 1) for each in inner)
    return value is None or isinstance(value, bool) or _is_number(value) or is_text(value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(n) is int and 1 <= n <= _MOST for n in value)


_OBJECT = _rule("an object", lambda value: isinstance(value, dict))
_TEXT = _rule("text", is_text)
_NUMBER = _rule("a finite number", _is_number)
_PLAIN = _rule("text, finite numbers, true, false, null, and lists and objects of them", _is_plain)
_YES_OR_NO = _rule("true or false", lambda value: isinstance(value, bool))
_SHA256 = _matching("64 hexadecimal digits", "[0-9a-f]{64}")
_FILE_NAME = _matching("a plain file name", r"(?!\.{1,2}$)[^/\\\0]{1,255}")
_SHAPE = _rule(f"[sentences, tokens], whole numbers from 1 to {_MOST}", _is_shape)
_SCORES = _record({"tasks": _each(_TEXT, _PLAIN), "average": _NUMBER}, others=_PLAIN)
_PLAN = {
    "graph": _FILE_NAME,
    "file": _FILE_NAME,
    "compute_capability": _whole(9999),
    "builder": _TEXT,
    "gpu": _or_null(_TEXT),
    "profile": _record({"min": _SHAPE, "opt": _SHAPE, "max": _SHAPE}),
}
_FIELDS = {
    "source": _record({"id": _TEXT, "revision": _or_null(_TEXT), "digest": _SHA256}),
    "architecture": _each(_TEXT, _PLAIN),
    "pooler": _one_of(POOLERS),
    "normalized": _YES_OR_NO,
    "precision": _one_of(PRECISIONS),
    "target": _one_of(TARGETS),
    "dimension": _whole(_MOST),
    "max_tokens": _whole(_MOST),
    "max_tokens_source": _or_null(_TEXT),
    "max_batch": _or_null(_whole(_MOST)),
    "layout": _one_of(LAYOUTS),
    "padding_id": _or_null(_whole(_MOST, least=0)),
    "files": _each(_FILE_NAME, _record({"sha256": _SHA256, "size_bytes": _whole(_MOST_BYTES, least=0)})),
    "versions": _each(_TEXT, _TEXT),
    "parity": _or_null(_each(_TEXT, _NUMBER)),
    "quality": _or_null(_each(_TEXT, _PLAIN)),
    "verified": _or_null(_YES_OR_NO),
    "engines": _each(_matching("a compute capability, such as 89", "[1-9][0-9]{1,3}"), _record(_PLAN)),
    "prompts": _each(_TEXT, _TEXT),
    "default_prompt_name": _or_null(_TEXT),
    "include_prompt": _YES_OR_NO,
    "output_range": _or_null(_rule("a number above 0", lambda value: _is_number(value) and value > 0)),
    "identity": _SHA256,
    "model": _SHA256,
}
# Of `quality`, if it has them.
_QUALITY = {
    "mean_cosine": _NUMBER,
    "min_cosine": _NUMBER,
    "sts": _SCORES,
    "sts_fp32": _SCORES,
    "sts_unwhitened": _SCORES,
}


def check_fields(content: Mapping[str, Any], required_files: Iterable[str]) -> None:
    """Raise WrongFieldError for a field that has a value which it cannot have, by itself or beside the others.

    Fields that this engine does not know are none of its business: newer exports may add them.
    """
    _record(_FIELDS, others=_rule("anything", lambda _: True))("", content)
    _check_quality(content["quality"] or {})
    if content["default_prompt_name"] is not None:
        _one_of(content["prompts"])("default_prompt_name", content["default_prompt_name"])
    target = TARGETS[content["target"]]
    # To check a graph for a GPU, export runs it on a CPU, in its own precision.
    precisions = PRECISIONS if content["target"] == "cpu" else target.precisions
    _one_of(precisions)(f"precision for {content['target']}", content["precision"])
    _one_of(target.layouts)(f"layout for {content['target']}", content["layout"])
    if not content["include_prompt"] and (content["target"] != "cpu" or content["layout"] == "padded"):
        graph = f"{content['layout']} graph for {content['target']}"
        raise WrongFieldError(f"include_prompt is false for a {graph}, expected true")
    if target.compiled != (content["max_batch"] is not None):
        expected = "a whole number" if target.compiled else "null"
        raise WrongFieldError(f"max_batch is {content['max_batch']} for {content['target']}, expected {expected}")
    if content["engines"] and not target.compiled:
        raise WrongFieldError(f"engines is not empty for {content['target']}, which has none")
    for name, plan in content["engines"].items():
        _check_plan(f"engines.{name}", name, plan)
    plans = [plan[part] for plan in content["engines"].values() for part in ("graph", "file")]
    for name in (*required_files, *plans):
        if name not in content["files"]:
            raise WrongFieldError(f"files.{name!r:.60} is missing")


def _check_quality(quality: Mapping[str, Any]) -> None:
    for name in _QUALITY.keys() & quality.keys():
        _QUALITY[name](f"quality.{name}", quality[name])
    if "mean_cosine" in quality and "min_cosine" not in quality:
        raise WrongFieldError("quality.min_cosine is missing")


def _check_plan(name: str, capability: str, plan: Mapping[str, Any]) -> None:
    if str(plan["compute_capability"]) != capability:
        raise WrongFieldError(f"{name}.compute_capability is {plan['compute_capability']}, expected {capability}")
    least, usual, most = (plan["profile"][part] for part in ("min", "opt", "max"))
    if not all(a <= b <= c for a, b, c in zip(least, usual, most, strict=True)):
        raise WrongFieldError(f"{name}.profile is not in order, expected min <= opt <= max")
