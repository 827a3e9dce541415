"""All questions, the most valuable first. Imports nothing heavy."""

from .plan import Question

# On a CPU nothing is recorded, and graphs for CUDA do not run.
ONLY_ON_GPUS = ("recorded", "spellings")

# Estimates; the first to need the peers loads them.
QUESTIONS = [
    Question(name=name, model=model, seconds=seconds)
    for name, model, seconds in (
        ("texts", "minilm", 50),
        ("texts", "bert-base", 60),
        ("checks", "minilm", 15),
        ("ids", "minilm", 8),
        ("lengths", "bert-base", 25),
        ("one", "minilm", 25),
        ("ids", "bert-base", 15),
        ("memory", "minilm", 65),
        ("lengths", "minilm", 20),
        ("compiled", "minilm", 45),
        ("spellings", "bert-base", 20),
        ("spellings", "minilm", 15),
        ("callers", "minilm", 20),
        ("checks", "bert-base", 15),
        ("one", "bert-base", 20),
        ("compiled", "bert-base", 70),
        ("batches", "minilm", 5),
        ("batches", "bert-base", 10),
        ("sessions", "minilm", 8),
        ("sessions", "bert-base", 12),
        ("recorded", "minilm", 10),
        ("callers", "bert-base", 20),
        ("recorded", "bert-base", 10),
        ("further-compiled", "minilm", 45),
        ("further-compiled", "bert-base", 70),
    )
]
