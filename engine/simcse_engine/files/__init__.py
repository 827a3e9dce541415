"""Files: one reader and one writer of each format, and files that appear whole or not at all."""
