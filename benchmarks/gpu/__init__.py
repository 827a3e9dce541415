"""The engine on an NVIDIA GPU, beside torch: `python -m benchmarks.gpu`.

- `environment`: what must be there; `preparation`: what is made beforehand, on any machine
- `plan`: which questions a run's seconds allow; `question_table`: all of them
- `questions`: how each is answered; `answers`: their JSON
- `field`: the contestants; `peers`: transformers and sentence-transformers; `attention`: theirs without padding
- `checks`: right vectors, all nodes on the GPU, level memory
- `bulk`, `callers`: timings; `matrix_peak`: what they are held against
- `sizes`, `spelled`: choices of ours
"""
