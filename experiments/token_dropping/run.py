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
import time

import jobs as jobs_lib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


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


def command(job, args) -> list[str]:
  """Of a pretraining or fine-tuning job."""
  folder = str(args.runs / job.name)
  if isinstance(job, jobs_lib.FineTuning):
    arguments = job.arguments(args.glue, str(args.runs / job.model), folder)
  else:
    arguments = job.arguments(
        args.corpus, str(args.runs / "vocab.txt"), folder)
  return [sys.executable, "train.py", *arguments]


def run_all(jobs, args):
  """A job a core, each with one thread, in order, until none is left."""
  waiting = [job for job in jobs if not _done_file(job, args).exists()]
  done, total, start = 0, len(waiting), time.monotonic()
  print(f"{len(jobs) - total} of {len(jobs)} jobs are done", flush=True)
  cores, running = sorted(os.sched_getaffinity(0))[:args.parallel], {}
  try:
    while waiting or running:
      for core in cores:
        if core not in running and waiting:
          running[core] = _start(waiting.pop(0), core, args)
      time.sleep(2)
      for core, (job, process) in list(running.items()):
        if process.poll() is None:
          continue
        del running[core]
        if process.returncode:
          raise SystemExit(f"{job.name}: exit code {process.returncode}, see "
                           f"{_log(job, args)}")
        _done_file(job, args).touch()
        done += 1
        left = (time.monotonic() - start) / done * (total - done)
        print(f"{job.name} is done; about {left / 60:.0f} minutes left",
              flush=True)
  finally:
    for _, process in running.values():
      process.terminate()
    for _, process in running.values():
      process.wait()


def _done_file(job, args):
  return args.runs / f"{job.name.replace('/', '-')}.done"


def _log(job, args):
  return args.runs / f"{job.name.replace('/', '-')}.log"


def _start(job, core, args):
  environment = os.environ | {
      "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
      "TF_NUM_INTEROP_THREADS": "1"}
  with open(_log(job, args), "ab") as log:
    process = subprocess.Popen(
        command(job, args), cwd=ROOT, env=environment, stdout=log, stderr=log)
  os.sched_setaffinity(process.pid, {core})
  return job, process


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--corpus", required=True, type=os.path.abspath, help="the text")
  add("--glue", required=True, type=os.path.abspath,
      help="folder of CoLA and SST-2, as GLUE has them")
  add("--runs", type=lambda path: pathlib.Path(path).resolve(),
      default=ROOT / "runs" / "token_dropping_claim")
  add("--parallel", type=int, default=2)
  args = parser.parse_args()
  ratio = prepare(args)
  print(f"a token-dropping step takes {ratio:.3f} of a dense one", flush=True)
  jobs = jobs_lib.main_jobs(ratio)
  run_all(jobs + jobs_lib.fine_tunings(jobs) + jobs_lib.ablation_jobs(), args)


if __name__ == "__main__":
  main()
