"""The command line, `simcse-engine`; nothing in here is public.

A command is one file, with its arguments, its help, what it does and what it prints: `add_parser` declares it and
`run` runs it; `sharding` is what `encode` does into a folder, by `shard_options`. `main` puts them together,
`arguments` and `output` hold what they share. `program` runs `simcse-export` too: `parser`, `completion`, `signals` and
`streams` know nothing of commands.
"""
