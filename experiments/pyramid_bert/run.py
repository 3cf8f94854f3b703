"""Fine-tunes all models of the claim, two at a time on a core each; resumable.

    python experiments/pyramid_bert/run.py --glue=glue --imdb=imdb \\
        --encoder=all-MiniLM-L6-v2

Draws the reviews that are used, then runs the jobs of jobs.py; stopped at any
moment, the same command goes on. Then report.py.
"""

import argparse
import csv
import gzip
import os
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402

STAGES = {"tuning": jobs_lib.tuning_jobs, "main": jobs_lib.main_jobs,
          "second": jobs_lib.second_jobs, "rivals": jobs_lib.rival_jobs,
          "second_rivals": jobs_lib.second_rival_jobs,
          "budgets": jobs_lib.budget_jobs,
          "variants": jobs_lib.variant_jobs}
# Reviews, as many of either label: of which file, how many, and what is not to
# be among them.
_REVIEWS = {"train": ("train", 3000, ()), "dev": ("train", 2000, ("train",)),
            "test": ("test", 2000, ()), "fresh": ("test", 4000, ("test",))}


def draw_reviews(imdb: pathlib.Path, runs: pathlib.Path):
  """Writes samples of either file of IMDB, the same every time."""
  for part, (split, count, others) in _REVIEWS.items():
    path = runs / f"imdb_{part}.tsv"
    if path.exists():
      continue
    with gzip.open(imdb / f"{split}.tsv.gz", "rt", encoding="utf-8") as f:
      rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    taken = {line.rstrip("\n").split("\t", 1)[1] for name in others
             for line in (runs / f"imdb_{name}.tsv").open(encoding="utf-8")}
    rows = [row for row in rows if row["text"] not in taken]
    drawn = []
    for label in sorted({row["label"] for row in rows}):
      of_label = [row for row in rows if row["label"] == label]
      drawn += random.Random(0).sample(of_label, count // 2)
    random.Random(1).shuffle(drawn)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", encoding="utf-8") as f:
      f.write("label\ttext\n")
      f.writelines(f"{row['label']}\t{row['text']}\n" for row in drawn)
    unfinished.rename(path)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--glue", required=True, type=os.path.abspath,
      help="folder with SST-2, as GLUE has it, and its labelled test file")
  add("--imdb", required=True, type=pathlib.Path,
      help="folder with train.tsv.gz and test.tsv.gz")
  add("--encoder", required=True, type=os.path.abspath,
      help="the Hugging Face folder that fine-tuning starts from")
  job_queue.add_flags(add, "pyramid_bert_claim", parallel=2)
  add("--stages", default=",".join(STAGES),
      help="some of them")
  args = parser.parse_args()
  stages = args.stages.split(",")
  for stage in stages:
    if stage not in STAGES:
      parser.error(f"--stages: {stage!r}: choose of {', '.join(STAGES)}")
  args.runs.mkdir(parents=True, exist_ok=True)
  draw_reviews(args.imdb, args.runs)
  jobs = [job for stage in stages for job in STAGES[stage]()]
  places = jobs_lib.Places(
      args.glue, os.path.abspath(args.imdb), str(args.runs), args.encoder)
  job_queue.run_all(jobs, places, args.runs, args.parallel)


if __name__ == "__main__":
  main()
