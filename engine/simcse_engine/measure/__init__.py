"""Measurements of an artifact: parity with the reference model, quality on STS, speed."""
