"""What it costs a fine-tuned model to keep fewer tokens, without training.

    python experiments/pyramid_bert/training_free.py --held_out
    python experiments/pyramid_bert/training_free.py

Every finished dense run of jobs.py is made a pyramid (`pyramidize`) with each
selector at the same list, and asked for the labels of its evaluation rows: so
all selectors are compared on the same weights. With --held_out it is the run
that settings are tuned with, on sentences held out of its training rows. Prints
a table in Markdown for each task and writes training_free.json, or
training_free_held_out.json, beside itself; what that knows of runs that are not
there stays.
"""

import argparse
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT)]

import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402
import run_results  # noqa: E402

from official_style import files  # noqa: E402

# Most of SST-2's training rows are parts of sentences; those of its test file
# are whole ones.
_WORDS, _ROWS = 14, 1000
_LOG_SIZE = dict(proportional_attention=True)
_MEANS = dict(merge_tokens=True, **_LOG_SIZE)
SELECTIONS = {
    "core-set": {},
    "core-set, a token at a time (m = 1)": dict(coreset_m=1),
    "core-set, all at once (m = k - 1)": dict(coreset_m=10**6),
    "core-set, cluster means": _MEANS,
    "core-set, m = 1, cluster means": dict(coreset_m=1, **_MEANS),
    "attention core-set": dict(token_selector="attention_coreset"),
    "attention core-set, cluster means": dict(
        token_selector="attention_coreset", **_MEANS),
    "received attention": dict(token_selector="attention"),
    "received attention, cluster means": dict(
        token_selector="attention", **_MEANS),
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
_AT_BOTH = ("core-set", "core-set, cluster means",
            "attention core-set, cluster means", "received attention",
            "bipartite merging, log-size attention")


def _quality(run, rows, reference=None, batch_size: int = 64):
  """Accuracy, mean divergence from the reference in nats; and logits."""
  import numpy as np

  from official_style.search import quality
  logits = run.predict([row.inputs for row in rows], batch_size)
  right = logits.argmax(1) == [run.labels.encode(row.label) for row in rows]
  divergence = 0.0 if reference is None else quality.divergence(
      "class", reference, logits)
  return dict(accuracy=float(np.mean(right)), divergence=divergence), logits


def _sentences(rows) -> list:
  """The first rows that are as long as whole sentences are."""
  return [row for row in rows
          if len(row.inputs[0][0].split()) >= _WORDS][:_ROWS]


def measure(job, runs: pathlib.Path, speedups, held_out, known, say):
  """Yields what is not known yet of one dense run with each selection."""
  from official_style.modeling.networks import pyramidize
  from official_style.training import finished_run
  cases = [(1.0, "dense")] + [
      (speedup, name) for speedup in speedups for name in SELECTIONS
      if speedup == speedups[0] or name in _AT_BOTH]
  cases = [case for case in cases
           if (job.task.name, job.seed, *case) not in known]
  if not cases:
    return
  run = finished_run.load(str(runs / job.name))
  rows = run.evaluation_rows()
  if held_out:
    rows = _sentences(rows)
  found, reference = _quality(run, rows)
  for speedup, name in cases:
    if name != "dense":
      encoder = pyramidize.pyramidize(
          run.encoder, speedup, job.task.seq_length, **SELECTIONS[name])
      found, _ = _quality(run.with_encoder(encoder), rows, reference)
    say(f"{job.name}: {name}, 1/{speedup:g}: {found['accuracy']:.4f}, "
        f"{found['divergence']:.4f} nats")
    yield dict(task=job.task.name, seed=job.seed, rows=len(rows),
               selection=name, computed_speedup=speedup, **found)


def table(results) -> str:
  """Accuracy and points lost, mean and spread over the seeds."""
  dense = {r["seed"]: r["accuracy"] for r in results
           if r["selection"] == "dense"}
  lines = ["| | FLOPs | accuracy | points lost | divergence |",
           "|---" * 5 + "|"]
  for speedup, name in dict.fromkeys(
      (r["computed_speedup"], r["selection"]) for r in results):
    chosen = [r for r in results
              if (r["computed_speedup"], r["selection"]) == (speedup, name)]
    accuracy = run_results.spread([r["accuracy"] for r in chosen], 100, 2)
    lost = run_results.spread(
        [dense[r["seed"]] - r["accuracy"] for r in chosen], 100, 2)
    divergence = run_results.spread([r["divergence"] for r in chosen])
    lines.append(
        f"| {name} | 1/{speedup:g} | {accuracy} | {lost} | {divergence} |"
        if name != "dense" else f"| dense | 1 | {accuracy} | | |")
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
  parser.add_argument("--held_out", action="store_true",
                      help="the tuning run, on rows nothing is reported on")
  parser.add_argument("--threads", type=int, default=1)
  args = parser.parse_args()
  names = [task.name for task in jobs_lib.TASKS]
  for name in args.tasks.split(","):
    if name not in names:
      parser.error(f"--tasks: {name!r}: choose of {', '.join(names)}")
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  import tensorflow as tf
  tf.config.threading.set_intra_op_parallelism_threads(args.threads)
  tf.config.threading.set_inter_op_parallelism_threads(1)

  file = HERE / f"training_free{'_held_out' * args.held_out}.json"
  found = json.loads(file.read_text("utf-8")) if file.exists() else []
  known = {_key(result): result for result in found}
  runs = pathlib.Path(args.runs)
  for job in _dense_jobs(args):
    if job_queue.is_done(job, runs):
      for result in measure(
          job, runs, tuple(job.task.speedups.values()), args.held_out, known,
          lambda line: print(line, file=sys.stderr, flush=True)):
        known[_key(result)] = result
        files.write(str(file),
                    json.dumps(list(known.values()), indent=1) + "\n")
  for task in jobs_lib.TASKS:
    results = [r for r in known.values() if r["task"] == task.name]
    if results:
      print(f"\n{task.name}, {task.seq_length} tokens\n\n{table(results)}")


def _dense_jobs(args) -> list:
  tasks = args.tasks.split(",")
  if args.held_out:
    return [job for job in jobs_lib.tuning_jobs() if job.task.name in tasks
            and job.kind == "dense"
            and job.learning_rate == job.task.learning_rates[0]]
  return [job for job in jobs_lib.main_jobs()
          if job.kind == "dense" and job.task.name in tasks]


if __name__ == "__main__":
  main()
