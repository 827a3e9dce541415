"""Layouts: how a run's sentences lie in a graph's inputs. Private.

- `layout`: what every layout offers;
- `ragged`: sentences end to end; `even`: the same, all of one length; `packed`: end to end, for fused attention;
- `grid`: one padded row per sentence.
"""
