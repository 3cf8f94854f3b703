"""What it costs a fine-tuned model to keep fewer tokens, without training.

    python experiments/pyramid_bert/training_free.py

Every finished dense run of jobs.py is made a pyramid (`pyramidize`) with each
selector at the same list, and asked for the labels of its evaluation rows: so
all selectors are compared on the same weights. Prints a table in Markdown for
each task and writes training_free.json beside itself; what that knows of runs
that are not there stays.
"""

import argparse
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT)]

import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402
import run_results  # noqa: E402

_FILE = HERE / "training_free.json"
_LOG_SIZE = dict(proportional_attention=True)
_MEANS = dict(merge_tokens=True, **_LOG_SIZE)
SELECTIONS = {
    "core-set": {},
    "core-set, a token at a time (m = 1)": dict(coreset_m=1),
    "core-set, all at once (m = k - 1)": dict(coreset_m=10**6),
    "core-set, cluster means": _MEANS,
    "core-set, m = 1, cluster means": dict(coreset_m=1, **_MEANS),
    "received attention": dict(token_selector="attention"),
    "average pooling": dict(token_selector="average_pool"),
    "average pooling, log-size attention": dict(
        token_selector="average_pool", **_LOG_SIZE),
    "bipartite merging": dict(token_selector="bipartite_merge"),
    "bipartite merging, log-size attention": dict(
        token_selector="bipartite_merge", **_LOG_SIZE),
    "random": dict(token_selector="random"),
    "the first of each layer": dict(token_selector="first_k"),
    "the first of the text": dict(token_selector="input_first_k"),
}
# What is asked at the shorter list, too.
_AT_BOTH = ("core-set", "core-set, cluster means", "received attention",
            "bipartite merging, log-size attention")


def _accuracy(run, rows, batch_size: int = 64) -> float:
  import numpy as np
  predicted = run.predict([row.inputs for row in rows], batch_size).argmax(1)
  return float(np.mean(predicted == [
      run.labels.encode(row.label) for row in rows]))


def measure(job, runs: pathlib.Path, speedups, say) -> list[dict]:
  """Accuracy of one dense run with each selection at each list."""
  from official_style.modeling.networks import pyramidize
  from official_style.training import finished_run
  run = finished_run.load(str(runs / job.name))
  rows = run.evaluation_rows()
  facts = dict(task=job.task.name, seed=job.seed, rows=len(rows))
  found = [facts | dict(selection="dense", computed_speedup=1.0,
                        accuracy=_accuracy(run, rows))]
  say(found[-1])
  for speedup in speedups:
    for name, settings in SELECTIONS.items():
      if speedup != speedups[0] and name not in _AT_BOTH:
        continue
      encoder = pyramidize.pyramidize(
          run.encoder, speedup, job.task.seq_length, **settings)
      found.append(facts | dict(
          selection=name, computed_speedup=speedup,
          accuracy=_accuracy(run.with_encoder(encoder), rows)))
      say(found[-1])
  return found


def table(results) -> str:
  """Accuracy and points lost, mean and spread over the seeds."""
  dense = {r["seed"]: r["accuracy"] for r in results
           if r["selection"] == "dense"}
  lines = ["| | FLOPs | accuracy | points lost |", "|---" * 4 + "|"]
  for speedup, name in dict.fromkeys(
      (r["computed_speedup"], r["selection"]) for r in results):
    chosen = [r for r in results
              if (r["computed_speedup"], r["selection"]) == (speedup, name)]
    accuracy = run_results.spread([r["accuracy"] for r in chosen], 100, 2)
    lost = run_results.spread(
        [dense[r["seed"]] - r["accuracy"] for r in chosen], 100, 2)
    lines.append(f"| {name} | 1/{speedup:g} | {accuracy} | {lost} |"
                 if name != "dense" else f"| dense | 1 | {accuracy} | |")
  return "\n".join(lines)


def _key(result):
  return tuple(result[name] for name in (
      "task", "seed", "computed_speedup", "selection"))


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--runs", type=os.path.abspath,
                      default=str(ROOT / "runs" / "pyramid_bert_claim"))
  parser.add_argument("--tasks", default=",".join(
      task.name for task in jobs_lib.TASKS), help="some of them")
  parser.add_argument("--threads", type=int, default=1)
  args = parser.parse_args()
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  import tensorflow as tf
  tf.config.threading.set_intra_op_parallelism_threads(args.threads)
  tf.config.threading.set_inter_op_parallelism_threads(1)

  runs = pathlib.Path(args.runs)
  found = json.loads(_FILE.read_text("utf-8")) if _FILE.exists() else []
  known = {_key(result): result for result in found}
  dense = [job for job in jobs_lib.main_jobs() if job.kind == "dense"
           and job.task.name in args.tasks.split(",")]
  there = [job for job in dense if job_queue.done_file(job, runs).exists()
           and (job.task.name, job.seed, 1.0, "dense") not in known]
  start = time.monotonic()
  for done, job in enumerate(there):
    for result in measure(
        job, runs, tuple(job.task.speedups.values()),
        lambda r: print(f"{r['task']} {r['seed']}: {r['selection']}, "
                        f"1/{r['computed_speedup']:g}: {r['accuracy']:.4f}",
                        file=sys.stderr, flush=True)):
      known[_key(result)] = result
    _FILE.write_text(json.dumps(list(known.values()), indent=1) + "\n",
                     encoding="utf-8")
    left = (time.monotonic() - start) / (done + 1) * (len(there) - done - 1)
    print(f"{job.name} is done; about {left / 60:.0f} minutes left",
          file=sys.stderr, flush=True)
  for task in jobs_lib.TASKS:
    results = [r for r in known.values() if r["task"] == task.name]
    if results:
      print(f"\n{task.name}, {task.seq_length} tokens\n\n{table(results)}")


if __name__ == "__main__":
  main()
