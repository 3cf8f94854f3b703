"""Performer against Pyramid-BERT on it: accuracy on rows of 2,048 tokens.

    python experiments/pyramid_bert/long_text.py --listops=listops --imdb=imdb

Trains all jobs from random weights, two at a time on a core each; stopped at
any moment, the same command goes on. With --report only prints the table of
what is there, and writes long_text.json beside itself.
"""

import argparse
import dataclasses
import gzip
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
STEPS = 600
# Rows to evaluate on, spread evenly over the test file; a pass over all of
# them would take longer than training.
EVALUATED = 500
EXPERIMENTS = {"performer": "bert/performer",
               "pyramid performer": "pyramid_bert/performer"}
_GIN = ("HIDDEN_SIZE = 128", "NUM_LAYERS = 4", "NUM_ATTENTION_HEADS = 2",
        "INNER_DIM = 512", "SEQ_LENGTH = 2048", "FAVOR_FEATURES = 128",
        "BATCH_SIZE = 4", "LEARNING_RATE = 1e-3", "DROPOUT_RATE = 0.0")


@dataclasses.dataclass(frozen=True)
class Task:
  """Where rows are, and what they are.

  Attributes:
    train, test: names of files in the folder that is given.
    text, label: columns.
    gin: bindings.
  """
  train: str
  test: str
  text: str
  label: str
  gin: tuple = ()


TASKS = {
    "listops": Task("basic_train.tsv.gz", "basic_test.tsv.gz", "Source",
                    "Target"),
    "imdb": Task("train.tsv.gz", "test.tsv.gz", "text", "label",
                 ('TOKENIZER = "bytes"',)),
}


@dataclasses.dataclass(frozen=True)
class Places:
  """Of each task the folder and the rows to evaluate on; and how long."""
  folders: dict
  evaluated: dict
  steps: int


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py: a task, a model, a seed."""
  task: str
  model: str
  seed: int

  @property
  def name(self) -> str:
    return f"{self.task}-{self.model.replace(' ', '_')}-{self.seed}"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    task, steps = TASKS[self.task], places.steps
    loop = dict(train_steps=steps, validation_interval=steps,
                checkpoint_interval=min(steps, 100), log_interval=20)
    return [
        f"--experiment={EXPERIMENTS[self.model]}", "--init_checkpoint=",
        *(f"--gin_params={binding}" for binding in (
            *_GIN, *task.gin, f"SEED = {self.seed}")),
        "--params_override=" + ",".join(
            f"trainer.{name}={value}" for name, value in loop.items()),
        f"--text_columns={task.text}", f"--label_column={task.label}",
        f"--train_data={os.path.join(places.folders[self.task], task.train)}",
        f"--eval_data={places.evaluated[self.task]}"]


def all_jobs(tasks) -> list[Job]:
  """A seed after the other, so that what is there can be compared."""
  return [Job(task, model, seed) for seed in SEEDS for task in tasks
          for model in EXPERIMENTS]


def evaluated_rows(folder: str, task: str, runs: pathlib.Path) -> str:
  """A file of some rows of the test file; made if it isn't there."""
  path = runs / f"{task}-evaluated.tsv"
  if not path.exists():
    source = os.path.join(folder, TASKS[task].test)
    with gzip.open(source, "rt", encoding="utf-8", newline="") as f:
      header, *rows = f.read().rstrip("\n").split("\n")
    chosen = rows[::max(1, len(rows) // EVALUATED)][:EVALUATED]
    unfinished = path.with_suffix(f".tmp-{os.getpid()}")
    unfinished.write_text("\n".join([header, *chosen]) + "\n",
                          encoding="utf-8", newline="")
    os.replace(unfinished, path)
  return str(path)


def collect(runs: pathlib.Path, steps: int) -> list[dict]:
  """What is known of every finished job, on the last step."""
  found = []
  for job in all_jobs(TASKS):
    last = [row for row in run_results.evaluations(runs / job.name)
            if row["step"] == steps]
    if last:
      found.append(dataclasses.asdict(job) | dict(
          accuracy=last[-1]["accuracy"], loss=last[-1]["loss"]))
  return found


def table(results) -> str:
  """One row a task and model: mean and spread over the seeds."""
  lines = ["| task | model | seeds | accuracy |", "|---|---|---|---|"]
  for task in TASKS:
    for model in EXPERIMENTS:
      values = [r["accuracy"] for r in results
                if (r["task"], r["model"]) == (task, model)]
      if values:
        lines.append(f"| {task} | {model} | {len(values)} | "
                     f"{run_results.spread(values, 100, 1)} |")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--listops", type=os.path.abspath,
      help="folder of basic_train.tsv.gz and basic_test.tsv.gz")
  add("--imdb", type=os.path.abspath,
      help="folder of train.tsv.gz and test.tsv.gz")
  job_queue.add_flags(add, "long_text", parallel=2)
  add("--steps", type=int, default=STEPS)
  add("--report", action="store_true", help="only say what is there")
  args = parser.parse_args()
  folders = {task: getattr(args, task) for task in TASKS if getattr(args, task)}
  if not args.report:
    if not folders:
      parser.error("give --listops, --imdb, or both")
    args.runs.mkdir(parents=True, exist_ok=True)
    evaluated = {task: evaluated_rows(folder, task, args.runs)
                 for task, folder in folders.items()}
    job_queue.run_all(
        all_jobs(folders), Places(folders, evaluated, args.steps), args.runs,
        args.parallel)
  results = collect(args.runs, args.steps)
  print(table(results))
  (HERE / "long_text.json").write_text(json.dumps(dict(
      steps=args.steps, evaluated=EVALUATED, results=results), indent=1)
      + "\n", encoding="utf-8")


if __name__ == "__main__":
  main()
