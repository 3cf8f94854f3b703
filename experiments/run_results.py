"""What runs of train.py reached, and how tables tell it."""

import json
import pathlib
import statistics


def evaluations(folder: pathlib.Path, split: str = "eval") -> list[dict]:
  """Metrics of a run on held-out rows, in order; none where it has not run."""
  path = folder / "metrics.jsonl"
  if not path.exists():
    return []
  with path.open(encoding="utf-8") as f:
    return [row for row in map(json.loads, f) if row["split"] == split]


def with_known(keys, results: list[dict], file: pathlib.Path,
               names: tuple) -> list[dict]:
  """Results, and those a file knows of runs that are not there.

  Args:
    keys: values of `names` of every run, in order.
    results: of runs that are there; they win.
    file: JSON, a list of results, or an object with one; it may be missing.
    names: which fields tell runs apart.
  """
  known = json.loads(file.read_text("utf-8")) if file.exists() else []
  if isinstance(known, dict):
    known = known["results"]
  found = {tuple(result[name] for name in names): result
           for result in known + results}
  return [found[key] for key in keys if key in found]


def spread(values, scale: float = 1, digits: int = 3) -> str:
  """Mean and, of several values, sample standard deviation."""
  values = [scale * value for value in values]
  text = f"{statistics.mean(values):.{digits}f}"
  return (f"{text} ± {statistics.stdev(values):.{digits}f}"
          if len(values) > 1 else text)
