"""The engine behind HTTP, under load: `python -m benchmarks.serve` asks all questions but those of many minutes.

- `short`, `batches`, `alone`, `offered`, `overload`, `mixed`, `drain`, `kills`: the questions. Each has a `QUESTION`,
  and a `measure` that takes the stage and its own options and returns the figures.
- `stage`: what they share: texts, vectors and services
- `peers`, `settings`, `fastapi_service`: the services to compare with, and their best settings; `servers`: starts one
- `routes`: requests and answers of all of them
- `wrk`, `wrk.lua`: closed loops; `generator`, `connection`, `clock`, `plan`: open loops and mixed requests; `arrivals`:
  their moments; `load`: runs the generator; `client`: one request after the other
"""
