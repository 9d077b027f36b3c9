"""`lies bench`: the event path beside its floor, measured in one run.

One room per figure; each runs processes of its own (`lies.bench.child`) and gives rows of a table.
"""

from lies.bench._plan import Plan
from lies.bench._run import Result, run_bench

__all__ = ["Plan", "Result", "run_bench"]
