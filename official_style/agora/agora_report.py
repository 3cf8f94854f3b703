"""What an Agora says when it is done."""

import os

from official_style.agora import agora_loop


def text(state, asked, sets, rows, path: str) -> str:
  """Rounds, the best set, and what it reaches beside the commonest label.

  Args:
    state: the last one of the loop, with `helper` and `report`.
    asked: the `AgoraOptions`.
    sets: the hyperparameter sets.
    rows: the `AgoraRows`.
    path: Agora's folder.
  """
  best, report = state["best"], state["report"]
  metric = details_of_best(state)["metric"]
  lines = [f"# {_title(asked)}", ""]
  command = asked.provenance.get("command")
  if command:
    lines += [f"    {command}", ""]
  lines += _rounds(state, metric)
  chosen = sets[best["set"]].describe()
  spent = agora_loop.num_trainings(state)
  lines += [
      "", f"Ended after {spent} fine-tunings: {state['ended']}.",
      f"Best: set {best['set']} ({chosen}) in round {best['round']}, in "
      f"{path}/{report['run']}.", ""]
  taken = [one["details"]["taken_from"] for one in
           state["rounds"][0]["trainings"] if "taken_from" in one["details"]]
  if taken:
    lines += [f"Not done again but taken over: {len(taken)}, from "
              f"{os.path.dirname(os.path.dirname(taken[0]))}.", ""]
  if state["helper"]:
    lines.append(f"Helper: accuracy {state['helper']['accuracy']:.4f} on the "
                 "agora-dev rows.")
    lines += [f"Warning: {line}." for line in state["helper"]["warnings"]]
    lines.append("")
  lines += _dev(state, rows)
  if report["metrics"]["accuracy"] <= report["baseline"]:
    lines += ["", "On report-dev it is no better than the commonest label."]
  if asked.makes_points and report["generated_in_report_dev"]:
    lines += ["", f"{report['generated_in_report_dev']} generated rows are, by "
                 "accident, texts of report-dev rows."]
  return "\n".join(lines)


def _title(asked) -> str:
  if asked.random_search:
    return "Random search"
  return {"errors": "Agora", "random": "Agora with random points",
          "none": "Agora without new points"}[asked.points]


def value_of(details) -> float:
  """The metric that decides, as it is; a score is never better when lower."""
  return details["metrics"][details["metric"]]


def details_of_best(state) -> dict:
  """What is recorded of the best training."""
  best = state["best"]
  return next(one["details"] for one in
              state["rounds"][best["round"]]["trainings"]
              if one["set"] == best["set"])


def _rounds(state, metric) -> list[str]:
  lines = [f"| round | rows | fine-tunings | best {metric.replace('_', ' ')} | "
           "its set | rows behind points | new points | sets dropped |",
           "|---" * 8 + "|"]
  for number, one in enumerate(state["rounds"]):
    if not one["trainings"]:
      continue
    known = [t for t in one["trainings"] if t["score"] is not None]
    found = max(known, key=lambda t: t["score"], default=None)
    score, which = ("failed", "") if found is None else (
        f"{value_of(found['details']):.4f}", found["set"])
    lines.append(
        f"| {number} | {one['rows']:,} | {len(one['trainings'])} | {score} | "
        f"{which} | {len(one.get('sources', ()))} | "
        f"{len(one.get('points', ()))} | {len(one.get('dropped', ()))} |")
  return lines


def _dev(state, rows) -> list[str]:
  """Both dev sets; the commonest label beside them."""
  details, report = details_of_best(state), state["report"]
  labels = [one.label for one in rows.train]
  most = max(sorted(set(labels)), key=labels.count)
  share = sum(one.label == most for one in rows.agora_dev) / len(rows.agora_dev)
  lines = [f"| | agora-dev ({len(rows.agora_dev):,} rows, which steered) | "
           f"report-dev ({report['rows']:,} rows, looked at once) |",
           "|---" * 3 + "|"]
  for name, value in report["metrics"].items():
    # Those of whole questions are of rows that are kept together.
    steered = (f"{details['metrics'][name]:.4f}"
               if name in details["metrics"] else "")
    lines.append(
        f"| {name.replace('_', ' ')} | {steered} | {value:.4f} |")
  return lines + [f"| always the commonest label, accuracy | {share:.4f} | "
                  f"{report['baseline']:.4f} |"]
