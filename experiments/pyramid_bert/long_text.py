"""Performer against Pyramid-BERT on it: accuracy on rows of 2,048 tokens.

    python experiments/pyramid_bert/long_text.py --imdb=imdb \\
        --encoder=all-MiniLM-L6-v2

Rows are the longest reviews of IMDB. Fine-tunes the first three layers of an
encoder with random-feature attention, as they are and with ever fewer tokens,
three seeds, two runs at a time, a core each. Stopped at any moment, the same
command goes on. With --report only prints the table of what is there, and
writes long_text.json beside itself.
"""

import argparse
import dataclasses
import gzip
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import run_results  # noqa: E402

from official_style import files  # noqa: E402

SEEDS = (1, 2, 3)
# Of training and of test reviews the longest: from 461 words on, and from 621.
ROWS = dict(train=2400, test=1000)

_COMMON = ("NUM_LAYERS = 3", "DROP_TOP_LAYERS = True", "SEQ_LENGTH = 2048",
           "FAVOR_FEATURES = 128", "BATCH_SIZE = 8", "EPOCHS = 1.0")
DENSE = "Performer"
ARMS = {
    DENSE: ("bert/performer", ()),
    "pyramid": ("pyramid_bert/performer", ()),
    "pyramid, cluster means": ("pyramid_bert/performer",
                               ("CLUSTER_MEANS = True",)),
}


@dataclasses.dataclass(frozen=True)
class Places:
  """The encoder, and the folder of all runs and of their rows."""
  encoder: str
  runs: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py."""
  arm: str
  seed: int

  @property
  def name(self) -> str:
    return f"{list(ARMS).index(self.arm)}-{self.seed}"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    experiment, own = ARMS[self.arm]
    return [
        f"--experiment={experiment}", f"--init_checkpoint={places.encoder}",
        f"--train_data={places.runs / 'train.tsv'}",
        f"--eval_data={places.runs / 'test.tsv'}", "--text_columns=text",
        "--label_column=label", *(f"--gin_params={binding}" for binding in (
            *_COMMON, *own, f"SEED = {self.seed}")),
        "--params_override=trainer.validation_interval=1000"]


def jobs() -> list[Job]:
  """A seed after the other, so that what is there can be compared."""
  return [Job(arm, seed) for seed in SEEDS for arm in ARMS]


_NAMED = run_results.named(Places)


def recipes() -> dict[tuple, list[str]]:
  """What every result is to be made with."""
  return {(job.arm, job.seed): run_results.settings(job, jobs(), _NAMED)
          for job in jobs()}


def write_rows(imdb: str, folder: pathlib.Path):
  """Makes train.tsv and test.tsv of a folder where they aren't there yet."""
  for part, count in ROWS.items():
    path = folder / f"{part}.tsv"
    if path.exists():
      continue
    with gzip.open(os.path.join(imdb, f"{part}.tsv.gz"), "rt",
                   encoding="utf-8", newline="\n") as f:
      header, *rows = f.read().rstrip("\n").split("\n")
    text = header.split("\t").index("text")
    rows.sort(key=lambda row: -len(row.split("\t")[text].split()))
    folder.mkdir(parents=True, exist_ok=True)
    files.write(str(path), "\n".join([header, *rows[:count]]) + "\n")


def collect(runs: pathlib.Path) -> list[dict]:
  """What every finished job reached on its last step, and its origin."""
  found = []
  for job in jobs():
    if job_queue.is_done(job, runs):
      last = run_results.evaluations(runs / job.name)[-1]
      found.append(dataclasses.asdict(job) | dict(
          accuracy=last["accuracy"], loss=last["loss"])
          | run_results.origin(job, jobs(), _NAMED, runs))
  return found


def table(results) -> str:
  """A row an arm: accuracy, and what is lost seed by seed."""
  values = {(r["arm"], r["seed"]): r["accuracy"] for r in results}
  lines = ["| | seeds | accuracy | points lost |", "|---|---|---|---|"]
  for arm in ARMS:
    seeds = [seed for seed in SEEDS if (arm, seed) in values]
    lost = [f"{100 * (values[DENSE, seed] - values[arm, seed]):.1f}"
            for seed in seeds if arm != DENSE and (DENSE, seed) in values]
    if seeds:
      accuracy = run_results.spread(
          [values[arm, seed] for seed in seeds], 100, 1)
      lines.append(f"| {arm} | {len(seeds)} | {accuracy} | {', '.join(lost)} |")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--imdb", type=os.path.abspath,
      help="folder of train.tsv.gz and test.tsv.gz")
  add("--encoder", type=os.path.abspath,
      help="Hugging Face folder of a BERT, its vocabulary in it")
  job_queue.add_flags(add, "long_text", parallel=2)
  add("--report", action="store_true", help="only say what is there")
  args = parser.parse_args()
  if not args.report:
    for name in ("imdb", "encoder"):
      if not getattr(args, name):
        parser.error(f"--{name}: has to be given")
    write_rows(args.imdb, args.runs)
    job_queue.run_all(jobs(), Places(args.encoder, args.runs), args.runs,
                      args.parallel)
  file = HERE / "long_text.json"
  results = run_results.with_known(
      recipes(), collect(args.runs), file, ("arm", "seed"))
  print(table(results))
  run_results.write(file, results, rows=ROWS)


if __name__ == "__main__":
  main()
