"""The machine: its CPUs, its GPUs, and what a fork does to a process. Private.

cpu      how many CPUs this process may use, and their features
nvidia   NVIDIA's driver and its GPUs
cgroups  what Linux's control groups allow
limits   limits on files, threads and memory, and errors that name them
kernels  the library of our kernels, and which variant this process uses
device   the names of devices: "cpu", "cuda", "cuda:N"
forks    hooks around forks, in a stated order
"""
