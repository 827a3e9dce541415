"""Shards: many files of texts into a folder of Parquet files of vectors, begun once and finished by any number of runs.

The folder itself says what is done: a shard appears whole or not at all, and its name and metadata say which rows of
which input it holds, and how they were encoded. Nothing is public.

settings  how all rows of a folder are encoded, whoever does it
sources   files, folders and patterns → the files to encode, in an order that does not change
plan      what there is to do, as parts, and what is left of it: pure functions
rows      a source's texts and kept columns, some rows at a time
shard     a shard's file: its name, its metadata, its rows
folder    the folder of shards: who may write it, and which of them are there
worker    does one part after the other
cluster   hands parts to workers on Ray
"""
