"""Trains all models of the claim, two at a time on a core each; resumable.

    python experiments/token_dropping/run.py --corpus=novels.txt.gz

Makes the vocabulary, times both kinds of step in turns, then runs the jobs of
jobs.py; stopped at any moment, the same command goes on. Then report.py.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import jobs as jobs_lib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def last_step(folder: pathlib.Path) -> int:
  """Of the newest evaluation in a run's metrics; 0 before there is one."""
  path = folder / "metrics.jsonl"
  if not path.exists():
    return 0
  steps = [row["step"] for row in map(json.loads, path.open(encoding="utf-8"))
           if row["split"] != "train"]
  return max(steps, default=0)


def command(job, args) -> list[str]:
  return [sys.executable, "train.py", *job.arguments(
      args.corpus, str(args.runs / "vocab.txt"), str(args.runs / job.name))]


def prepare(args) -> float:
  """Vocabulary and step times; the ratio of a dropping step to a dense one."""
  args.runs.mkdir(parents=True, exist_ok=True)
  if not (args.runs / "vocab.txt").exists():
    subprocess.run(
        [sys.executable, "tools/build_vocab.py", f"--input={args.corpus}",
         f"--output={args.runs / 'vocab.txt'}", "--size=8000"],
        cwd=ROOT, check=True)
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


def run_all(jobs, args):
  """A job a core, each with one thread, until none is left."""
  waiting = [job for job in jobs
             if last_step(args.runs / job.name) < job.steps]
  print(f"{len(jobs) - len(waiting)} of {len(jobs)} jobs are done", flush=True)
  cores = sorted(os.sched_getaffinity(0))[:args.parallel]
  running = {}
  start, done = time.monotonic(), 0
  total = sum(job.steps - last_step(args.runs / job.name) for job in waiting)
  try:
    while waiting or running:
      for core in cores:
        if core not in running and waiting:
          running[core] = _start(waiting.pop(0), core, args)
      time.sleep(5)
      for core, (job, process) in list(running.items()):
        if process.poll() is None:
          continue
        del running[core]
        if process.returncode:
          raise SystemExit(f"{job.name}: exit code {process.returncode}, see "
                           f"{args.runs / job.name}.log")
        done += job.steps
        left = (time.monotonic() - start) / done * max(0, total - done)
        print(f"{job.name} is done; {left / 60:.0f} minutes left", flush=True)
  finally:
    for _, process in running.values():
      process.terminate()
      process.wait()


def _start(job, core, args):
  environment = os.environ | {
      "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
      "TF_NUM_INTEROP_THREADS": "1"}
  with open(f"{args.runs / job.name}.log", "ab") as log:
    process = subprocess.Popen(
        command(job, args), cwd=ROOT, env=environment, stdout=log, stderr=log)
  os.sched_setaffinity(process.pid, {core})
  return job, process


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--corpus", required=True, help="the text")
  parser.add_argument("--runs", type=lambda path: pathlib.Path(path).resolve(),
                      default=ROOT / "runs" / "token_dropping_claim")
  parser.add_argument("--parallel", type=int, default=2)
  args = parser.parse_args()
  args.corpus = os.path.abspath(args.corpus)
  ratio = prepare(args)
  print(f"a token-dropping step takes {ratio:.3f} of a dense one", flush=True)
  run_all(jobs_lib.main_jobs(ratio) + jobs_lib.ablation_jobs(), args)


if __name__ == "__main__":
  main()
