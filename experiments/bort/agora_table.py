"""Agora beside plain fine-tuning and random search of as many fine-tunings.

    python experiments/bort/agora_table.py --glue=glue \\
        --encoder=all-MiniLM-L6-v2

The first two layers of an encoder are fine-tuned on three small tasks, with all
of its layers, fine-tuned on the same four fifths of the training rows, as the
helper; the last fifth is agora-dev, and the task's own evaluation rows, of MRPC
its labelled test rows, are looked at once. Sets of hyperparameters differ in
seed and learning rate and are drawn from one list: three for Agora, which drops
one in each round, six where there are no new rows, the three among them. So all
but the first two arms take six fine-tunings, beside the helper's own. Those of
sets without new rows, which several arms share, are done once, by the search.

Two jobs at a time, a core each. Stopped at any moment, the same command goes
on. With --report only prints the table of what is there, and writes
agora_table.json beside itself; what that knows of jobs that are not there
stays.
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
# The metric that checkpoints and sets are chosen by, tokens of a row, and the
# rows that are reported on.
TASKS = {"RTE": ("accuracy", 128, "dev.tsv"),
         "CoLA": ("matthews_correlation", 32, "dev.tsv"),
         "MRPC": ("f1", 96, "test-labeled.tsv")}
_RATES, _RATE = (5e-5, 1e-4, 2e-4), 1e-4
# Of training seeds; a repetition shares none with another.
_APART = 100
_SETS = 6
_DEV_SHARE = 0.2
HELPER, ALL_ROWS = "helper", "all rows, one set"
# What the others are compared with: as many fine-tunings, no new rows.
SEARCH = "random search"
_AGORA = (f"--budget={_SETS}", "--draw_sets=3", "--pruner=worst_one")
ARMS = {
    ALL_ROWS: (),
    "one set": ("--budget=1", "--draw_sets=1", "--points=none"),
    SEARCH: (f"--budget={_SETS}", f"--draw_sets={_SETS}", "--points=none"),
    "Agora": _AGORA,
    "Agora, random points": (*_AGORA, "--points=random"),
    "Agora, soft labels": (*_AGORA, "--soft_labels"),
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
    """The search, some of whose runs it takes over; the search itself waits
    for the helper, which others ask."""
    if self.program == "train.py":
      return ""
    return dataclasses.replace(self, arm=SEARCH).name if (
        self.arm != SEARCH) else Job(self.task, HELPER).name

  @property
  def program(self) -> str:
    """What runs it."""
    return ("train.py" if self.arm in (HELPER, ALL_ROWS)
            else os.path.join("tools", "agora.py"))

  def arguments(self, places: Places) -> list[str]:
    """Of the program."""
    _, seq_length, reported = TASKS[self.task]
    folder = f"{places.glue}/{self.task}"
    common = [
        "--experiment=bert/sentence_prediction", f"--task_name={self.task}",
        f"--init_checkpoint={places.encoder}",
        f"--gin_params=SEQ_LENGTH = {seq_length}", "--gin_params=EPOCHS = 3.0",
        "--gin_params=BATCH_SIZE = 32"]
    if self.arm == HELPER:
      # What it holds out is agora-dev.
      return common + [
          f"--train_data={folder}/train.tsv",
          f"--test_data={folder}/{reported}",
          f"--params_override=task.train_data.held_out_share={_DEV_SHARE}",
          f"--gin_params=LEARNING_RATE = {_RATE}"]
    common += [f"--train_data={folder}/train.tsv",
               f"--eval_data={folder}/{reported}",
               "--gin_params=NUM_LAYERS = 2",
               "--gin_params=DROP_TOP_LAYERS = True"]
    if self.arm == ALL_ROWS:
      return common + [f"--gin_params=SEED = {self.seed}",
                       f"--gin_params=LEARNING_RATE = {_RATE}"]
    first = self.seed * _APART
    seeds = ",".join(map(str, range(first, first + _SETS)))
    more = ["--keep_all"] if self.arm == SEARCH else [
        f"--first_round={places.runs / self.after}"]
    if "--points=none" not in ARMS[self.arm]:
      more += [f"--helper={places.runs / Job(self.task, HELPER).name}"]
    return [f"--loop_seed={self.seed}", f"--set_seeds={seeds}",
            f"--learning_rates={','.join(map(str, _RATES))}",
            f"--agora_dev_share={_DEV_SHARE}", *ARMS[self.arm], *more,
            *common]

  def value(self, runs: pathlib.Path) -> float:
    """What it reached on rows that steered nothing."""
    metric, folder = TASKS[self.task][0], runs / self.name
    if self.program == "train.py":
      split = "test" if self.arm == HELPER else "eval"
      return run_results.evaluations(folder, split)[-1][metric]
    state = json.loads((folder / "agora.json").read_text("utf-8"))["state"]
    return state["report"]["metrics"][metric]


def jobs() -> list[Job]:
  """Helpers first; then a seed after the other."""
  return [Job(task, HELPER) for task in TASKS] + [
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
  """A row an arm, a column a task; what it gains on a search, by seed."""
  lines = ["| | " + " | ".join(
      f"{task}, {metric.replace('_', ' ')} | more than {SEARCH}"
      for task, (metric, _, _) in TASKS.items()) + " |",
           "|---" * (1 + 2 * len(TASKS)) + "|"]
  for arm in (HELPER, *ARMS):
    cells = []
    for task in TASKS:
      values, searched = (
          {r["seed"]: r["value"] for r in results
           if (r["task"], r["arm"]) == (task, name)} for name in (arm, SEARCH))
      gained = [f"{100 * (value - searched[seed]):+.1f}"
                for seed, value in values.items()
                if seed in searched and arm != SEARCH]
      cells += [run_results.spread(list(values.values()), 100, 1)
                if values else "", ", ".join(gained)]
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
