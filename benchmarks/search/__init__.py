"""Search in an index: its recall and speed, its filters, and what it keeps when its writer is killed."""
