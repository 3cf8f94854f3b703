"""Agora beside plain fine-tuning and random search of as many fine-tunings.

    python experiments/bort/agora_table.py --glue=glue \\
        --encoder=all-MiniLM-L6-v2

The first two layers of an encoder are fine-tuned on three small tasks, with all
of its layers, fine-tuned on the same rows, as the helper; two jobs at a time, a
core each. Stopped at any moment, the same command goes on. With --report only
prints the table of what is there, and writes agora_table.json beside itself;
what that knows of jobs that are not there stays.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import run_results  # noqa: E402

SEEDS = (1, 2, 3)
# The metric that GLUE reports, and tokens of a row.
TASKS = {"RTE": ("accuracy", 128), "CoLA": ("matthews_correlation", 32),
         "MRPC": ("accuracy", 96)}
_RATES = (5e-5, 1e-4, 2e-4)
# 3 fine-tunings, 2 and 1: a set goes in each round.
_BUDGET = 6
_HELPER, PLAIN = "helper", "plain"
ARMS = {
    PLAIN: (),
    "Agora": ("--pruner=worst_one",),
    "Agora, random points": ("--pruner=worst_one", "--points=random"),
    "Agora, no new rows": ("--points=none",),
    "Agora, soft labels": ("--pruner=worst_one", "--soft_labels"),
    "random search": ("--random_search",),
}


@dataclasses.dataclass(frozen=True)
class Places:
  """Folders: of GLUE, of the encoder, of all runs."""
  glue: str
  encoder: str
  runs: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Job:
  """A helper, one fine-tuning, or one Agora."""
  task: str
  arm: str
  seed: int = 0

  @property
  def name(self) -> str:
    return f"{self.task}/{self.arm.replace(' ', '_')}-{self.seed}"

  @property
  def after(self) -> str:
    """The helper that it asks."""
    if self.program == "train.py" or {
        "--random_search", "--points=none"} & set(ARMS[self.arm]):
      return ""
    return Job(self.task, _HELPER).name

  @property
  def program(self) -> str:
    """What runs it."""
    return ("train.py" if self.arm in (_HELPER, PLAIN)
            else os.path.join("tools", "agora.py"))

  def arguments(self, places: Places) -> list[str]:
    """Of the program."""
    gin = [f"SEQ_LENGTH = {TASKS[self.task][1]}", "EPOCHS = 3.0",
           "BATCH_SIZE = 32"]
    if self.arm != _HELPER:
      gin += ["NUM_LAYERS = 2", "DROP_TOP_LAYERS = True"]
    if self.program == "train.py":
      gin += [f"SEED = {self.seed}", f"LEARNING_RATE = {_RATES[1]}"]
      own = []
    else:
      own = [f"--budget={_BUDGET}", f"--loop_seed={self.seed}",
             f"--set_seeds={self.seed}",
             f"--learning_rates={','.join(map(str, _RATES))}",
             *ARMS[self.arm]]
      if self.after:
        own.append(f"--helper={places.runs / self.after}")
    return [
        *own, "--experiment=bert/sentence_prediction",
        f"--task_name={self.task}", f"--train_data={places.glue}/{self.task}",
        f"--init_checkpoint={places.encoder}",
        *(f"--gin_params={binding}" for binding in gin)]

  def value(self, runs: pathlib.Path) -> float:
    """What it reached on rows that steered nothing."""
    metric, folder = TASKS[self.task][0], runs / self.name
    if self.program == "train.py":
      return run_results.evaluations(folder)[-1][metric]
    state = json.loads((folder / "agora.json").read_text("utf-8"))["state"]
    return state["report"]["metrics"][metric]


def jobs() -> list[Job]:
  """Helpers first; then a seed after the other."""
  return [Job(task, _HELPER) for task in TASKS] + [
      Job(task, arm, seed) for seed in SEEDS for task in TASKS for arm in ARMS]


_NAMED = run_results.named(Places)


def recipes() -> dict[tuple, list[str]]:
  """What every result is to be made with."""
  return {(job.task, job.arm, job.seed): run_results.settings(
      job, jobs(), _NAMED) for job in jobs()}


def collect(runs: pathlib.Path) -> list[dict]:
  """What every finished job reached, and its origin."""
  return [dataclasses.asdict(job) | dict(
      metric=TASKS[job.task][0], value=job.value(runs))
          | run_results.origin(job, jobs(), _NAMED, runs)
          for job in jobs() if job_queue.is_done(job, runs)]


def table(results) -> str:
  """A row an arm, a column a task; what it gains on plain, seed by seed."""
  lines = ["| | " + " | ".join(
      f"{task}, {metric.replace('_', ' ')} | on plain"
      for task, (metric, _) in TASKS.items()) + " |",
           "|---" * (1 + 2 * len(TASKS)) + "|"]
  for arm in (_HELPER, *ARMS):
    cells = []
    for task in TASKS:
      values = {name: {r["seed"]: r["value"] for r in results
                       if (r["task"], r["arm"]) == (task, name)}
                for name in (arm, PLAIN)}
      gained = [f"{100 * (value - values[PLAIN][seed]):+.1f}"
                for seed, value in values[arm].items()
                if seed in values[PLAIN] and arm != PLAIN]
      cells += [run_results.spread(list(values[arm].values()), 100, 1)
                if values[arm] else "", ", ".join(gained)]
    lines.append(f"| {arm} | {' | '.join(cells)} |")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--glue", type=os.path.abspath,
      help="folder of " + ", ".join(TASKS))
  add("--encoder", type=os.path.abspath,
      help="Hugging Face folder of a BERT, its vocabulary in it")
  job_queue.add_flags(add, "agora_table", parallel=2)
  add("--report", action="store_true", help="only say what is there")
  args = parser.parse_args()
  if not args.report:
    for name in ("glue", "encoder"):
      if not getattr(args, name):
        parser.error(f"--{name}: has to be given")
    job_queue.run_all(jobs(), Places(args.glue, args.encoder, args.runs),
                      args.runs, args.parallel)
  file = HERE / "agora_table.json"
  results = run_results.with_known(
      recipes(), collect(args.runs), file, ("task", "arm", "seed"))
  print(table(results))
  run_results.write(file, results)


if __name__ == "__main__":
  main()
