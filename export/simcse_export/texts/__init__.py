"""The texts that an export runs. Private.

- `corpora`: sentences to calibrate int8 on and to judge it by, built in or a user's own;
- `check`: the texts that every artifact is compared with transformers on.
"""
