"""Approximate nearest neighbours: USearch's graph, which proposes candidates."""
