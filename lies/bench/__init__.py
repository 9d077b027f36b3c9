"""`lies bench`: the event path beside its floor, measured in one run.

One room per figure; what they measure runs in processes of its own (`lies.bench.child`).
"""

from lies.bench._figures import Row
from lies.bench._plan import FULL, Plan
from lies.bench._run import Result, run_bench

__all__ = ["FULL", "Plan", "Result", "Row", "run_bench"]
