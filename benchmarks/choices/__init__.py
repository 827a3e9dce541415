"""Why the engine's constants and graphs are what they are."""
