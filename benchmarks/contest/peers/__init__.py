"""The peers: each in an environment and a process of its own, behind one small protocol.

- `catalog`: the peers; `environment`: their pinned requirements; `models`: the files that each reads
- `workers`: what runs in their processes; `process`: starts one and sends it requests
- `reference`: the vectors that all must give
"""
