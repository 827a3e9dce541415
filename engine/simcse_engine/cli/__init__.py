"""The command line, `simcse-engine`; nothing in here is public."""
