"""Dialects: how a target spells embedding, linear, attention, activation and layer norm."""
