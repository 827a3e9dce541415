"""What is wrong with an installation or a machine, and what to do about it: `simcse-engine doctor`. Nothing is public.

facts   of this machine and installation
child   questions that may crash a process, which a child process answers
rules   what follows from the facts: findings
report  both together, for people and as JSON
"""
