"""Tables and plot of the claim, from the runs that are there.

    python experiments/token_dropping/report.py

Prints two tables in Markdown; writes results.json and loss.png beside itself.
What results.json knows of runs that are not there stays.
"""

import argparse
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

import job_queue  # noqa: E402
import jobs as jobs_lib  # noqa: E402
import run_results  # noqa: E402

from official_style import files  # noqa: E402

_COLORS = {"dense": "tab:blue", "token dropping, equal steps": "tab:orange",
           "token dropping, equal time": "tab:red"}


def collect(jobs, runs, seconds) -> list[dict]:
  """What is known of every finished job."""
  found = []
  for job in jobs:
    curve = [(row["step"], row["mlm_loss"], row["mlm_accuracy"])
             for row in run_results.evaluations(runs / job.name)]
    # Longer where steps took another share of a dense one's time.
    if not curve or curve[-1][0] != job.steps:
      continue
    finetuned = {}
    for tuning in jobs_lib.fine_tunings([job]):
      if job_queue.is_done(tuning, runs):
        finetuned[f"{tuning.task} {tuning.metric.replace('_', ' ')}"] = (
            run_results.evaluations(runs / tuning.name)[-1][tuning.metric])
    found.append(dict(
        name=job.name, kind=job.kind, seed=job.seed, steps=job.steps,
        step_seconds=seconds[
            "dense" if job.kind == "dense" else "token_dropping"],
        curve=curve, finetuned=finetuned))
  return found


def table(results, kinds) -> str:
  """One row a kind: mean and spread over its seeds."""
  tasks = sorted({task for r in results for task in r["finetuned"]})
  lines = ["| | seeds | steps | held-out MLM loss | accuracy |"
           + "".join(f" {task} |" for task in tasks)]
  lines.append("|---" * (5 + len(tasks)) + "|")
  for kind in kinds:
    rows = [r for r in results if r["kind"] == kind]
    if not rows:
      continue
    cells = [kind, str(len(rows)), f"{rows[0]['steps']:,}",
             run_results.spread([r["curve"][-1][1] for r in rows]),
             run_results.spread([r["curve"][-1][2] for r in rows])]
    for task in tasks:
      values = [r["finetuned"][task] for r in rows if task in r["finetuned"]]
      cells.append(run_results.spread(values) if values else "")
    lines.append("| " + " | ".join(cells) + " |")
  return "\n".join(lines)


def plot(results, path):
  """Held-out loss over training time, a line a run."""
  figure, axes = pyplot.subplots(figsize=(7, 4.5))
  named = set()
  for r in results:
    if r["kind"] not in _COLORS:
      continue
    label = None if r["kind"] in named else r["kind"]
    named.add(r["kind"])
    axes.plot([step * r["step_seconds"] / 60 for step, _, _ in r["curve"]],
              [loss for _, loss, _ in r["curve"]], marker=".", linewidth=1,
              color=_COLORS[r["kind"]], label=label)
  axes.set_xlabel("minutes of training on one core")
  axes.set_ylabel("held-out MLM loss, all tokens kept (nats)")
  axes.legend()
  axes.grid(alpha=0.3)
  figure.tight_layout()
  figure.savefig(path, dpi=120)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--runs", type=pathlib.Path,
                      default=ROOT / "runs" / "token_dropping_claim")
  args = parser.parse_args()
  times = json.loads((HERE / "step_times.json").read_text(encoding="utf-8"))
  dense, dropping = [c["summary"] for c in times["cases"][0]["contenders"]]
  seconds = dict(dense=dense["wall_seconds"]["median"])
  # Round by round, as run.py has it.
  seconds["token_dropping"] = (
      seconds["dense"] * dropping["time_ratio"]["median"])
  jobs = jobs_lib.main_jobs(
      seconds["token_dropping"] / seconds["dense"]) + jobs_lib.ablation_jobs()
  file = HERE / "results.json"
  results = run_results.with_known(
      {(job.name, job.steps): None for job in jobs},
      collect(jobs, args.runs, seconds), file, ("name", "steps"))
  if not results:
    raise SystemExit(f"--runs={args.runs}: no finished run of run.py is there")
  kinds = list(dict.fromkeys(r["kind"] for r in results))
  main_kinds = [kind for kind in kinds if kind in _COLORS]
  print(table(results, main_kinds), end="\n\n")
  # Beside the run that they change, with its seed.
  first = [r for r in results if r["seed"] == jobs_lib.SEEDS[0]]
  print(table(first, main_kinds[1:2] + [
      kind for kind in kinds if kind not in _COLORS]))
  files.write(str(file), json.dumps(dict(
      step_seconds=seconds,
      machine=times["machine"], versions=times["versions"],
      results=results), indent=1) + "\n")
  plot(results, HERE / "loss.png")


if __name__ == "__main__":
  main()
