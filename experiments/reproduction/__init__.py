"""Runs of a protocol and the report on them; `experiments/reproduce.py` calls both."""
