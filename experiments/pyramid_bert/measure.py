"""Times the claim's models on the rows they are reported on, and draws them.

    python experiments/pyramid_bert/measure.py --glue=glue \\
        --task="SST-2 of 128"

Finished runs of the task in jobs.py, dense and with few tokens, in turns in one
process, padded and sorted by length: tools/benchmark_runs.py, whose table it
prints. Writes clock_TASK.json and clock_TASK.png beside itself, with
--start=dense clock_TASK_from_dense.json, with --seeds clock_TASK_1.json and so
on.
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402

_STARTS = ("encoder", "dense")


def _jobs(start):
  """Dense, and what is compared with it."""
  if start == "encoder":
    return jobs_lib.main_jobs() + jobs_lib.variant_jobs()
  dense = [job for job in jobs_lib.main_jobs() if job.speedup is None]
  return dense + jobs_lib.second_jobs()


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--glue", default="glue", help="as run.py had it")
  add("--runs", type=os.path.abspath,
      default=str(ROOT / "runs" / "pyramid_bert_claim"))
  add("--task", choices=[task.name for task in jobs_lib.TASKS],
      default=jobs_lib.TASKS[0].name)
  add("--start", choices=_STARTS, default="encoder",
      help="what the runs with few tokens were fine-tuned from")
  add("--seeds", default="", help="some of them, as 1,2")
  add("--rows", type=int, default=128, help="that are timed")
  add("--batch_size", type=int, default=32)
  add("--rounds", type=int, default=5)
  add("--threads", type=int, default=1)
  args = parser.parse_args()
  done = [job for job in _jobs(args.start)
          if job.task.name == args.task
          and (not args.seeds or str(job.seed) in args.seeds.split(","))
          and job_queue.is_done(job, pathlib.Path(args.runs))]
  if not done:
    parser.error(f"--runs={args.runs}: holds no finished run of {args.task} "
                 f"from the {args.start}{args.seeds and ', seeds '}"
                 f"{args.seeds}: run run.py first")
  words = [*args.task.split(), *("from dense".split()
                                 if args.start == "dense" else ()),
           *filter(None, args.seeds.split(","))]
  place = HERE.relative_to(ROOT) / "_".join(["clock", *words])
  # As they are told in what is written, relative to the project.
  runs, glue = (os.path.relpath(path, ROOT) for path in (args.runs, args.glue))
  task = done[0].task
  rows = (task.fresh_file or task.eval_file).format(glue=glue, runs=runs)
  for command in (
      ["tools/benchmark_runs.py",
       *(f"--run={job.kind}={os.path.join(runs, job.name)}" for job in done),
       f"--file={rows}", f"--rows={args.rows}",
       f"--batch_sizes={args.batch_size}", f"--rounds={args.rounds}",
       f"--threads={args.threads}", f"--output={place}.json"],
      ["tools/plot_speed_accuracy.py", f"{place}.json",
       f"--output={place}.png"]):
    process = subprocess.run([sys.executable, *command], cwd=ROOT, check=False)
    if process.returncode:
      raise SystemExit(process.returncode)


if __name__ == "__main__":
  main()
