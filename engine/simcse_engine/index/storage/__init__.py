"""What an index keeps on disk: its database, its vector file and its lock; private.

`store` has `connections` to the database and begins `transactions`, which read `records` in the tables of `schema`, and
`changes`, which write them, under `keys` of one of the `key_kinds`; a `hold` keeps one open between parts that are
read. `where` compiles filters to SQL, with `comparisons` for their operators and `exact` for what SQLite compares
otherwise than Python. `keywords` is the index of words, and `words` what it is given and asked for. `vectors` is the
vector file, and `lock` admits one writer at a time; `reserve` keeps room for removals, `regular` opens the files, and
`faults` says what SQLite's errors mean.
"""
