"""The routes of an index: `search`, `entries` that are read, and `changes`.

`members` and `answers` have what requests and answers share, and `access` leads to the index.
"""
