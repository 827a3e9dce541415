"""Files: one reader and one writer of each format, and files that appear whole or not at all. Nothing is public.

refusals     what the system answers to who would read or write
atomic       files and folders that appear whole
arrow        Parquet and Arrow, with pyarrow
texts        files of texts, and JSON lines
vectors      files of vectors, out
entries      an index's entries, out and in
new_entries  files that an index is filled from
"""
