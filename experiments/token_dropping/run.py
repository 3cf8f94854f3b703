"""Trains all models of the claim, two at a time on a core each; resumable.

    python experiments/token_dropping/run.py --corpus=novels.txt.gz --glue=glue

Makes the vocabulary, times both kinds of step in turns, then runs the jobs of
jobs.py; stopped at any moment, the same command goes on. Then report.py.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import corpus_vocabulary  # noqa: E402
import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402


def prepare(args) -> float:
  """Vocabulary and step times; the ratio of a dropping step to a dense one."""
  corpus_vocabulary.made(args.corpus, args.runs)
  times = HERE / "step_times.json"
  if not times.exists():
    subprocess.run(
        [sys.executable, "tools/benchmark.py", "--model=mini", "--dropout=0",
         "--num_layers=6", "--seq_length=256", "--batch_size=8",
         "--threads=1", "--rounds=9", "--quiet_wait=20",
         "--contenders=ours,ours_token_drop", f"--output={times}"],
        cwd=ROOT, check=True)
  case, = json.loads(times.read_text(encoding="utf-8"))["cases"]
  return case["contenders"][1]["summary"]["time_ratio"]["median"]


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--corpus", required=True, type=os.path.abspath, help="the text")
  add("--glue", required=True, type=os.path.abspath,
      help="folder of CoLA and SST-2, as GLUE has them")
  job_queue.add_flags(add, "token_dropping_claim", parallel=2)
  args = parser.parse_args()
  ratio = prepare(args)
  print(f"a token-dropping step takes {ratio:.3f} of a dense one", flush=True)
  jobs = jobs_lib.main_jobs(ratio)
  places = jobs_lib.Places(
      args.corpus, str(args.runs / "vocab.txt"), args.glue, str(args.runs))
  job_queue.run_all(
      jobs + jobs_lib.fine_tunings(jobs) + jobs_lib.ablation_jobs(), places,
      args.runs, args.parallel)


if __name__ == "__main__":
  main()
