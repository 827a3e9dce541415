"""The session on compiled plans: TensorRT, and TensorRT for RTX. Private, and few may import it.

session    a plan opened and run, and how one is made
plans      which plan of an artifact runs where, and the options to make one
libraries  NVIDIA's libraries: found, loaded, with their versions
rtx        a graph on TensorRT for RTX
"""
