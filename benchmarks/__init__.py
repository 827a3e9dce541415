"""Measurements of the engine: against its peers, and of its own choices. No part of what is installed."""
