"""A small student with and without a sentence encoder beside it.

    python experiments/bort/relations.py --corpus=novels.txt.gz --glue=glue \\
        --imdb=imdb --teacher=all-MiniLM-L6-v2

Pretrains students for as many steps, three seeds: by masked words alone, with
the attention relations of the teacher's last layer beside them (MiniLM,
https://arxiv.org/abs/2012.15828), and with that layer's states too. Each is
fine-tuned on SST-2, STS-B and reviews of IMDB; two runs at a time, a core each.
Stopped at any moment, the same command goes on. With --report only prints the
table of what is there, and writes relations.json beside itself.
"""

import argparse
import dataclasses
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import run_results  # noqa: E402

SEEDS = (1, 2, 3)
STEPS = 1000
_STUDENT = ("HIDDEN_SIZE = 256", "INNER_DIM = 1024", "NUM_LAYERS = 3",
            "SEQ_LENGTH = 128", "BATCH_SIZE = 16", "LEARNING_RATE = 5e-4",
            "VALIDATION_STEPS = 64")
# What differs. Both widths, 256 and the teacher's, are multiples of the heads.
ALONE = "no teacher"
_RELATIONS = (
    "MLM_WEIGHT = 1.0", "DISTILL_WEIGHT = 1.0",
    "distillation.logits_weight = 0.0", "distillation.relations_weight = 1.0",
    "distillation.relation_heads = 8")
ARMS = {
    ALONE: ("DISTILL_WEIGHT = 0.0",),
    "MLM + relations": _RELATIONS,
    "MLM + relations + states": (
        *_RELATIONS, "distillation.hidden_weight = 5.0",
        'distillation.hidden_distance = "cosine"'),
}
# Not those, as CoLA, that a model of so few steps leaves at chance. Of SST-2's
# 67,000 rows and IMDB's 25,000 three tenths, once, and STS-B four times.
TASKS = {
    "SST-2": ("accuracy", ("EPOCHS = 0.3", "SEQ_LENGTH = 64")),
    "STS-B": ("pearson_spearman", ("EPOCHS = 4.0", "SEQ_LENGTH = 64")),
    "IMDB": ("accuracy", ("EPOCHS = 0.3", "SEQ_LENGTH = 128"))}
# Of its training rows, to evaluate on: all of the test file would take longer
# than training.
_HELD_OUT = 0.04


@dataclasses.dataclass(frozen=True)
class Places:
  """Where things are: text, folders of GLUE and IMDB, teacher, the runs."""
  corpus: str
  glue: str
  imdb: str
  teacher: str
  runs: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py: a student, or one that is fine-tuned on a task."""
  arm: str
  seed: int
  task: str = ""

  @property
  def student(self) -> str:
    return f"student-{list(ARMS).index(self.arm)}-{self.seed}"

  @property
  def name(self) -> str:
    return f"{self.student}/{self.task}" if self.task else self.student

  @property
  def after(self) -> str:
    """What it starts from."""
    return self.student if self.task else ""

  @property
  def metric(self) -> str:
    return TASKS[self.task][0] if self.task else "mlm_loss"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    if self.task:
      return [
          "--experiment=bert/sentence_prediction", *self._rows(places),
          f"--init_checkpoint={places.runs / self.student}",
          *(f"--gin_params={x}" for x in (
              *TASKS[self.task][1], f"SEED = {self.seed}",
              "LEARNING_RATE = 2e-4", "BATCH_SIZE = 32"))]
    return [
        "--experiment=bert_distill", f"--train_data={places.corpus}",
        f"--teacher={places.teacher}",
        f"--vocab_file={places.teacher}/vocab.txt",
        *(f"--gin_params={x}" for x in (
            *_STUDENT, *ARMS[self.arm], f"SEED = {self.seed}",
            f"TRAIN_STEPS = {STEPS}", f"INTERVAL = {STEPS}"))]

  def _rows(self, places):
    if self.task != "IMDB":
      return (f"--task_name={self.task}",
              f"--train_data={places.glue}/{self.task}")
    return (f"--train_data={places.imdb}/train.tsv.gz", "--text_columns=text",
            "--label_column=label",
            f"--params_override=task.train_data.held_out_share={_HELD_OUT}")


def jobs() -> list[Job]:
  """Students and then what is fine-tuned of them, a seed after the other."""
  return [Job(arm, seed, task) for seed in SEEDS for task in ("", *TASKS)
          for arm in ARMS]


_NAMED = run_results.named(Places)


def recipes() -> dict[tuple, list[str]]:
  """What every result is to be made with."""
  return {(job.arm, job.seed, job.task or "words"): run_results.settings(
      job, jobs(), _NAMED) for job in jobs()}


def collect(runs: pathlib.Path) -> list[dict]:
  """The metric of the last step of every finished job, and its origin."""
  found = []
  for job in jobs():
    if job_queue.is_done(job, runs):
      last = run_results.evaluations(runs / job.name)[-1]
      found.append(dict(arm=job.arm, seed=job.seed, task=job.task or "words",
                        metric=job.metric, value=last[job.metric])
                   | run_results.origin(job, jobs(), _NAMED, runs))
  return found


def table(results) -> str:
  """A row a task; what either teacher adds, seed by seed."""
  lines = ["| | " + " | ".join(
      arm if arm == ALONE else f"{arm} | seed by seed" for arm in ARMS) + " |",
           "|---" * 2 * len(ARMS) + "|"]
  for task in ("words", *TASKS):
    of_task = [r for r in results if r["task"] == task]
    if not of_task:
      continue
    cells = [f"{task}, {of_task[0]['metric'].replace('_', ' ')}"]
    of_arms = {arm: {r["seed"]: r["value"] for r in of_task if r["arm"] == arm}
               for arm in ARMS}
    for arm, values in of_arms.items():
      cells.append(run_results.spread(list(values.values()))
                   if values else "")
      if arm != ALONE:
        cells.append(", ".join(
            f"{value - of_arms[ALONE][seed]:+.3f}"
            for seed, value in values.items() if seed in of_arms[ALONE]))
    lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--corpus", type=os.path.abspath, help="the text")
  add("--glue", type=os.path.abspath, help="folder of SST-2 and STS-B")
  add("--imdb", type=os.path.abspath, help="folder of train.tsv.gz")
  add("--teacher", type=os.path.abspath,
      help="Hugging Face folder of a BERT, its vocabulary in it")
  job_queue.add_flags(add, "relations", parallel=2)
  add("--report", action="store_true", help="only say what is there")
  args = parser.parse_args()
  if not args.report:
    for name in ("corpus", "glue", "imdb", "teacher"):
      if not getattr(args, name):
        parser.error(f"--{name}: has to be given")
    job_queue.run_all(
        jobs(), Places(args.corpus, args.glue, args.imdb, args.teacher,
                       args.runs), args.runs, args.parallel)
  file = HERE / "relations.json"
  results = run_results.with_known(
      recipes(), collect(args.runs), file, ("arm", "seed", "task"))
  print(table(results))
  run_results.write(file, results, steps=STEPS)


if __name__ == "__main__":
  main()
