"""Layouts: how a run's sentences lie in a graph's inputs. Private.

- `layout`: what every layout offers;
- `ragged`: sentences end to end; `even`: the same, all of one length; `end_to_end`: what these two share;
- `packed`: end to end, for fused attention;
- `grid`: one padded row per sentence, for compilers; `padded`: the same, with the usual inputs.
"""
