"""Tables of the claim, from the runs that are there.

    python experiments/pyramid_bert/report.py

Prints a table for each task in Markdown and writes results.json beside itself:
accuracy on rows nothing was chosen on, and points lost against the dense model
of the same seed; and what files of measure.py, one a seed, say together. What
results.json knows of runs that are not there stays, where they would be made
with the same settings now.
"""

import argparse
import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402
import run_results  # noqa: E402

from official_style import files  # noqa: E402

_METRIC = "accuracy"
_NAMED = run_results.named(jobs_lib.Places)


def last_accuracy(folder: pathlib.Path, metric: str = _METRIC) -> float:
  """Of the last step: which step was best is not chosen on these rows."""
  return run_results.evaluations(folder)[-1][metric]


def collect(jobs, runs: pathlib.Path) -> list[dict]:
  """What every finished job reached."""
  return [dict(
      task=job.task.name, kind=job.kind, seed=job.seed,
      learning_rate=job.learning_rate, computed_speedup=job.speedup or 1.0,
      selector=job.selector if job.speedup else None,
      accuracy=last_accuracy(runs / job.name),
      at_budgets={f"{budget:g}": last_accuracy(
          runs / job.name, f"{_METRIC}_at_{budget:g}x")
                  for budget in jobs_lib.BUDGETS}
      if job.experiment.endswith("any_budget") else {})
          | run_results.origin(job, jobs, _NAMED, runs)
          for job in jobs if job_queue.is_done(job, runs)]


def recipes(jobs) -> dict[tuple, list[str]]:
  """What every result is to be made with."""
  return {(job.task.name, job.kind, job.seed): run_results.settings(
      job, jobs, _NAMED) for job in jobs}


def spread(values) -> str:
  """Mean and sample standard deviation, in points."""
  return run_results.spread(values, 100, 2)


def table(results: list[dict]) -> str:
  """One row a kind: accuracy, and points lost seed by seed."""
  dense = {r["seed"]: r["accuracy"] for r in results if r["kind"] == "dense"}
  lines = ["| | computed | seeds | accuracy | points lost |", "|---" * 5 + "|"]
  for kind in dict.fromkeys(r["kind"] for r in results):
    rows = [r for r in results if r["kind"] == kind]
    lost = [dense[r["seed"]] - r["accuracy"] for r in rows
            if r["seed"] in dense]
    lines.append(
        f"| {kind} | {rows[0]['computed_speedup']:g}x | {len(rows)} | "
        f"{spread([r['accuracy'] for r in rows])} | "
        f"{spread(lost) if lost and kind != 'dense' else ''} |")
  return "\n".join(lines)


def beside_second_dense(results: list[dict]) -> str:
  """Points lost beside a dense model that saw the rows once more, too."""
  dense = {r["seed"]: r["accuracy"] for r in results
           if r["kind"] == "dense, from dense"}
  lines = []
  for kind in dict.fromkeys(r["kind"] for r in results):
    lost = [dense[r["seed"]] - r["accuracy"] for r in results
            if r["kind"] == kind and r["seed"] in dense]
    if kind.endswith("x") and "from dense" in kind and lost:
      lines.append(f"beside dense, from dense, {kind} loses {spread(lost)}")
  return "\n".join(lines)


def judged_table(files: list[pathlib.Path]) -> str:
  """Over the files of measure.py, one a seed: accuracy, points lost, times."""
  quality, lost, times = {}, {}, {}
  for file in files:
    dense, *others = json.loads(
        file.read_text(encoding="utf-8"))["cases"][0]["contenders"]
    for one in (dense, *others):
      name = one["name"]
      quality.setdefault(name, []).append(one["quality"])
      lost.setdefault(name, []).append(dense["quality"] - one["quality"])
      times.setdefault(name, []).extend(
          a / b for a, b in zip(dense["seconds"], one["seconds"]))
  lines = ["| | accuracy | points lost | times faster |", "|---" * 4 + "|"]
  for name, values in quality.items():
    low, high = min(times[name]), max(times[name])
    lines.append(
        f"| {name} | {spread(values)} | {spread(lost[name])} | "
        f"{statistics.median(times[name]):.2f}x ({low:.2f} to {high:.2f}) |")
  return "\n".join(lines)


def budget_table(results: list[dict]) -> str:
  """One row a budget: one set of weights for all beside one for it alone."""
  every = {r["seed"]: r["at_budgets"] for r in results if r["at_budgets"]}
  lines = ["| computed | seeds | for this alone | for any | points lost |",
           "|---" * 5 + "|"]
  for budget in (f"{budget:g}" for budget in jobs_lib.BUDGETS):
    alone = {r["seed"]: r["accuracy"] for r in results
             if r["kind"] == f"only {budget}x"}
    seeds = sorted(alone.keys() & every.keys())
    if seeds:
      pairs = [(alone[seed], every[seed][budget]) for seed in seeds]
      lines.append(
          f"| {budget}x | {len(seeds)} | {spread([a for a, _ in pairs])} | "
          f"{spread([b for _, b in pairs])} | "
          f"{spread([a - b for a, b in pairs])} |")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--runs", type=pathlib.Path,
                      default=ROOT / "runs" / "pyramid_bert_claim")
  args = parser.parse_args()
  for job in jobs_lib.tuning_jobs():
    if job_queue.is_done(job, args.runs):
      print(f"{job.name}: {last_accuracy(args.runs / job.name):.4f} on rows "
            "held out of those for training")
  file = HERE / "results.json"
  jobs = (jobs_lib.main_jobs() + jobs_lib.second_jobs() + jobs_lib.rival_jobs()
          + jobs_lib.second_rival_jobs() + jobs_lib.variant_jobs()
          + jobs_lib.budget_jobs())
  results = run_results.with_known(
      recipes(jobs), collect(jobs, args.runs), file, ("task", "kind", "seed"))
  of_budgets = {job.kind for job in jobs_lib.budget_jobs()}
  for task in jobs_lib.TASKS:
    rows = [r for r in results
            if r["task"] == task.name and r["kind"] not in of_budgets]
    if rows:
      print(f"\n{task.name}, {task.seq_length} tokens\n\n{table(rows)}")
      print(f"\n{beside_second_dense(rows)}")
    name = task.name.replace(" ", "_")
    judged = [HERE / f"clock_{name}_from_dense_{seed}.json"
              for seed in jobs_lib.SEEDS]
    if all(file.exists() for file in judged):
      print(f"\n{task.name}, by measure.py\n\n{judged_table(judged)}")
  budgets = [r for r in results if r["kind"] in of_budgets]
  if budgets:
    print(f"\nAny budget, {jobs_lib.TASKS[0].name}\n\n"
          f"{budget_table(budgets)}")
  files.write(str(file), json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
  main()
