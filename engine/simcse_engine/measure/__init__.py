"""How good and how fast an artifact is.

parity   agreement with the reference model's vectors, and its limits
quality  agreement with people's scores, over the tasks that `sts` reads: `pairs` from files, `senteval` from folders
plot     alignment against uniformity, drawn
cosines  of vectors of any length
bench    speed on this machine; `results` is what it reports, `samples` the texts it makes up, `ways` what it times

`bench.bench`, `quality.measure` and `sts.read_tasks`, with what they take and return, are public; the rest is private.
"""
