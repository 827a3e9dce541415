"""Files: one reader and one writer of each format, and files that appear whole or not at all. Nothing is public.

locks        locks on open files, of one holder or shared
handles      reading and writing at a place of an open file
refusals     what the system answers to who would read or write
staging      what is being written, locked until it is whole
atomic       files and folders that appear whole

kinds        what a file is, by its first bytes
compressed   gzip and zstd
opening      files to read, decompressed, pipes too
reading      what is read, and how far

lines        UTF-8, by line; JSON lines
delimited    `.csv` and `.tsv`
arrow        pyarrow, and what is written by it
columnar     Parquet and Arrow as they are read; `columnar_rows`, as JSON has them
cells        values of columns as JSON has them
tables       rows of any of these
columns      which field of a row is the text, and which are key and metadata

texts        files of texts
blocks       entries to add, some at a time
new_entries  files that an index is filled from
vectors      files of vectors, out
entries      an index's entries, out
"""
