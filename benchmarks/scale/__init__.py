"""Encoding on more than one worker.

actors  sentences per second of one actor or two of Ray, of one CPU or two: python -m benchmarks.scale.actors
driver  what it runs in an environment with Ray
"""
