"""The machine: its CPUs, its GPUs, and what a fork does to a process."""
