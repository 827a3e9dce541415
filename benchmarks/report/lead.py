"""Who is ahead: in each situation that was measured, the fastest peer's time over ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .labels import LABELS
from .tables import MISSING, ratio, table

Results = Mapping[str, Any]

_MODELS = {"minilm": "MiniLM", "bert-base": "BERT-base's shape"}
# Ours by precision, and which arithmetic of a peer is a match for it; None for any.
_RIVALS = {"ours-int8": None, "ours-bf16": {"bf16", "default", "fp32"}, "ours-fp32": {"fp32"}}
_QUESTIONS = (("versus", "bulk_ours_over_peer", "bulk"), ("latency", "p50_peer_over_ours", "one"))
_HEADS = ("INT8, any peer", "bf16, peers in bf16 and FP32", "FP32, peers in FP32")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Ours beside its fastest rival."""

    situation: str
    ours: str
    peer: str
    ratio: Mapping[str, float]  # the peer's time over ours

    @property
    def ahead(self) -> bool:
        """Whether ours is faster, beyond doubt."""
        return self.ratio["low"] > 1

    @property
    def precision(self) -> str:
        """As people read it."""
        return LABELS[self.ours].removeprefix("ours, ")

    @property
    def text(self) -> str:
        """As a line of a list."""
        took = f"takes {ratio(self.ratio)} of our time"
        level = " (level)" if self.ratio["high"] >= 1 else ""
        return f"{self.situation}, {self.precision}: {LABELS[self.peer]} {took}{level}"


def comparisons(results: Results) -> list[Comparison]:
    """All that the results have, by situation and precision."""
    return [
        Comparison(situation=situation, ours=ours, peer=peer, ratio=ratios[peer])
        for situation, by_ours, arithmetic in _situations(results)
        for ours, rivals in _RIVALS.items()
        if (ratios := _among(by_ours.get(ours, {}), arithmetic, rivals))
        for peer in [min(ratios, key=lambda name: ratios[name]["median"])]
    ]


def _situations(results: Results) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, str]]]:
    """What was measured, the peers' time over each of ours, and the peers' arithmetic."""
    for model, label in _MODELS.items():
        for question, key, what in _QUESTIONS:
            if (result := results.get(f"{question}-{model}")) is not None:
                yield f"{label}, {what}", result[key], _arithmetic(result)
        if (result := results.get(f"lengths-{model}")) is not None:
            for length, at in result["lengths"].items():
                yield f"{label}, bulk at {length} tokens", at["peer_over_ours"], _arithmetic(result)


def _arithmetic(result: Mapping[str, Any]) -> dict[str, str]:
    return {name: each["arithmetic"] for name, each in result["contestants"].items()}


def _among(ratios: Mapping[str, Any], arithmetic: Mapping[str, str], rivals: set[str] | None) -> dict[str, Any]:
    return {name: each for name, each in ratios.items() if rivals is None or arithmetic.get(name) in rivals}


def lead(results: Results) -> str:
    """The fastest peer's time over ours, by situation and precision."""
    rows: dict[str, dict[str, str]] = {}
    for each in comparisons(results):
        rows.setdefault(each.situation, {})[each.ours] = f"{ratio(each.ratio)} {LABELS[each.peer]}"
    if not rows:
        return MISSING
    return table(
        ("the fastest peer's time over ours", *_HEADS),
        [(situation, *(cells.get(ours, "") for ours in _RIVALS)) for situation, cells in rows.items()],
    )


def behind(results: Results) -> str:
    """Where a peer is ahead or level."""
    lines = [f"- {each.text}." for each in comparisons(results) if not each.ahead]
    return "\n".join(lines) if lines else "- In none of them."


def readme_lead(results: Results) -> str:
    """INT8's lead in a sentence, and where a peer is ahead of ours in a precision."""
    ours = {each.situation: each for each in comparisons(results) if each.ours == "ours-int8"}
    parts = [f"{ours[one].ratio['median']:.2f} {what}" for one, what in _SAID.items() if one in ours]
    lengths = [each.ratio["median"] for situation, each in ours.items() if " at " in situation]
    if lengths:
        parts.append(f"{min(lengths):.2f} to {max(lengths):.2f} where all texts have one length")
    on = results["versus-minilm"]["machine"]
    losses = [
        f"{each.precision}, {each.situation} ({LABELS[each.peer]}: {each.ratio['median']:.2f})"
        for each in comparisons(results)
        if each.ratio["high"] < 1
    ]
    lost = f"**Where it loses:** {'; '.join(losses)}." if losses else "No peer was ahead in speed."
    return (
        f"On {on['usable_cpus']} cores of {on['cpu']}, the fastest peer in any precision takes so many times "
        f"as long as our INT8: {', '.join(parts)}.\n\n{lost}"
    )


_SAID = {
    "MiniLM, bulk": "in bulk on MiniLM",
    "BERT-base's shape, bulk": "on BERT-base's shape",
    "MiniLM, one": "for one sentence on MiniLM",
    "BERT-base's shape, one": "on BERT-base's shape",
}

TABLES = {
    "lead": (lead, ("versus-minilm",)),
    "behind": (behind, ("versus-minilm",)),
    "readme-lead": (readme_lead, ("versus-minilm",)),
}
