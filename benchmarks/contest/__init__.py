"""The engine against its peers: what `make bench` measures."""
