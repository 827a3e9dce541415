"""The application under uvicorn, as ``simcse-engine serve`` runs it.

`address.py` is where it listens, `hosts.py` by which names, `protocol.py` a connection with its limits, `server.py` the
beginning and the end.
"""
