"""`simcse-engine doctor`: facts of an installation and machine, and what to do about them."""
