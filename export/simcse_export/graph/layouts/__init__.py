"""Layouts: how a run's sentences lie in a graph's inputs."""
