"""A small student with and without a teacher: as many steps, three seeds.

    python experiments/bort/distillation.py

Trains a teacher on the documentation of this Python, then the students beside
it, a core each; stopped at any moment, the same command goes on. With --report
only prints the table of what is there, and writes distillation.json beside
itself.
"""

import argparse
import dataclasses
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import run_results  # noqa: E402

SEEDS = (1, 2, 3)
TEACHER_STEPS, STEPS = 1500, 400
TEACHER = "teacher"
_SHARED = ("SEQ_LENGTH = 64", "BATCH_SIZE = 16", "VALIDATION_STEPS = 32",
           "LEARNING_RATE = 2e-3")
_STUDENT = ("HIDDEN_SIZE = 64", "INNER_DIM = 256", "NUM_LAYERS = 2")
# What differs.
ARMS = {
    "no teacher": ("DISTILL_WEIGHT = 0.0",),
    "0.1 MLM + 0.5 KL, masked words": (),
}


@dataclasses.dataclass(frozen=True)
class Places:
  """Where the runs are."""
  runs: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py: an arm and a seed, or the teacher."""
  arm: str
  seed: int

  @property
  def name(self) -> str:
    return TEACHER if self.arm == TEACHER else (
        f"student-{list(ARMS).index(self.arm)}-{self.seed}")

  @property
  def after(self) -> str:
    """What it learns from."""
    return "" if self.arm == TEACHER else TEACHER

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    gin = (*_SHARED, f"SEED = {self.seed}")
    if self.arm == TEACHER:
      gin += (f"TRAIN_STEPS = {TEACHER_STEPS}", f"INTERVAL = {TEACHER_STEPS}")
      return ["--experiment=bert", *(f"--gin_params={x}" for x in gin)]
    gin += (*_STUDENT, *ARMS[self.arm], f"TRAIN_STEPS = {STEPS}",
            f"INTERVAL = {STEPS}")
    return ["--experiment=bert_distill",
            f"--vocab_file={places.runs / TEACHER / 'data' / 'vocab.txt'}",
            f"--teacher={places.runs / TEACHER}",
            *(f"--gin_params={x}" for x in gin)]


def jobs() -> list[Job]:
  """A seed after the other, so that what is there can be compared."""
  return [Job(TEACHER, 0)] + [Job(arm, seed) for seed in SEEDS for arm in ARMS]


_NAMED = run_results.named(Places)


def recipes() -> dict[tuple, list[str]]:
  """What every result is to be made with."""
  return {(job.arm, job.seed): run_results.settings(job, jobs(), _NAMED)
          for job in jobs()}


def collect(runs: pathlib.Path) -> list[dict]:
  """The last evaluation of every finished job, its last training line, and its
  origin."""
  found = []
  for job in jobs():
    if not job_queue.is_done(job, runs):
      continue
    with open(runs / job.name / "metrics.jsonl", encoding="utf-8") as f:
      lines = [json.loads(line) for line in f]
    last = {split: [x for x in lines if x["split"] == split][-1]
            for split in ("train", "eval")}
    found.append(dataclasses.asdict(job) | dict(
        step=last["eval"]["step"], loss=last["eval"]["mlm_loss"],
        accuracy=last["eval"]["mlm_accuracy"],
        teacher_agreement=last["train"].get("teacher_agreement"))
                 | run_results.origin(job, jobs(), _NAMED, runs))
  return found


def table(results) -> str:
  """One row an arm: mean and sample standard deviation over the seeds."""
  lines = ["| student | seeds | held-out MLM loss | accuracy |",
           "|---|---|---|---|"]
  for arm in (TEACHER, *ARMS):
    rows = [r for r in results if r["arm"] == arm]
    if rows:
      cells = [run_results.spread([r[name] for r in rows], scale, digits)
               for name, scale, digits in (("loss", 1, 3),
                                           ("accuracy", 100, 1))]
      lines.append(f"| {arm} | {len(rows)} | {cells[0]} | {cells[1]} % |")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  job_queue.add_flags(add, "distillation")
  add("--report", action="store_true", help="only say what is there")
  args = parser.parse_args()
  if not args.report:
    job_queue.run_all(jobs(), Places(args.runs), args.runs, args.parallel)
  file = HERE / "distillation.json"
  results = run_results.with_known(
      recipes(), collect(args.runs), file, ("arm", "seed"))
  print(table(results))
  run_results.write(file, results, teacher_steps=TEACHER_STEPS, steps=STEPS)


if __name__ == "__main__":
  main()
