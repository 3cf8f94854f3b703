"""Trains for several budgets on 1 and on 2 replicas of a CPU and compares.

A script of its own as `replicas.py` is; run by `any_budget_step_test.py`.
"""

from tests.reference import two_replicas


def train(strategy):
  from tests.reference import tiny_budgets
  run = tiny_budgets.Run(strategy, clip_norm=0.05)
  lists = [tiny_budgets.SCHEDULES, tiny_budgets.SCHEDULES[::2]]
  return run, run.train([tiny_budgets.batch(i) for i in range(2)], lists)


if __name__ == "__main__":
  two_replicas.compare(train)
