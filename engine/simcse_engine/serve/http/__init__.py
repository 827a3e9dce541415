"""HTTP as the routes see it.

`messages.py` has requests and responses, `problems.py` errors, in their clients' shapes; `accept.py` chooses a media
type, `arrays.py` writes vectors in it; `watch.py` looks after requests whose clients are slow or have left.
"""
