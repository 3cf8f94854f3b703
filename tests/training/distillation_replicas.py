"""Distils on 1 and on 2 replicas of a CPU and compares.

A script of its own as `replicas.py` is; run by `distillation_step_test.py`.
"""

from tests.reference import two_replicas


def train(strategy):
  from tests.reference import tiny_distillation
  from tests.reference import tiny_training
  run = tiny_distillation.Run(
      strategy, settings=tiny_distillation.EVERYTHING,
      teacher_sizes=tiny_distillation.WIDE, graph=True, clip_norm=0.05)
  return run, run.train([tiny_training.batch(i) for i in range(2)])


if __name__ == "__main__":
  two_replicas.compare(train)
