"""The same run with several seeds, or with several parts held out.

Each repetition is a run of its own in a folder of its own: stopped, resumed and
looked at like any other.
"""

import copy
import dataclasses
import json
import os

import numpy as np
import tf_keras

from official_style import files
from official_style.training import fine_tuning_run
from official_style.training import machinery as machinery_lib
from official_style.training import predictions
from official_style.training import run_frame


def run(config, options, interruption, placement) -> int:
  """Runs every repetition, and says mean and spread.

  Args:
    config: a resolved `FineTuningConfig`.
    options: with `seeds` or `folds`.
    interruption, placement: of the process.
  """
  results, names = [], []
  for i in range(options.seeds or options.folds):
    one = copy.deepcopy(config)
    if options.seeds:
      one.trainer.seed = config.trainer.seed + i
      names.append(f"seed-{i}")
    else:
      one.task.num_folds, one.task.fold = options.folds, i
      names.append(f"fold-{i}")
    # Names of layers count up in a process, and are part of a checkpoint.
    tf_keras.backend.clear_session()
    machinery_lib.seed(one)
    if placement.is_chief:
      print(f"\n{names[-1]}:")
    results.append(run_frame.execute(
        fine_tuning_run.FineTuningJob(), one, dataclasses.replace(
            options, model_dir=os.path.join(options.model_dir, names[-1])),
        interruption, placement))
    if placement.is_chief and results[-1] is not None:
      metric = results[-1].metric
      print(f"{names[-1]}: {metric} {results[-1].metrics[metric]:.4f}")
  if placement.is_chief and results[0] is not None:
    print(_finish(options, names, results))
  return 0


def _finish(options, names, results) -> str:
  """Writes what all of them gave, and tells it."""
  summary = _summaries([r.metrics for r in results])
  test_summary = _summaries([r.test_metrics for r in results])
  runs = [dict(name=name, step=r.step, metrics=r.metrics)
          for name, r in zip(names, results)]
  content = dict(runs=runs, metric=results[0].metric, summary=summary)
  if test_summary:  # There are test rows, with labels.
    content["test_summary"] = test_summary
    for run, result in zip(runs, results):
      run["test_metrics"] = result.test_metrics
  path = os.path.join(options.model_dir, "repetitions.json")
  files.write(path, json.dumps(content, indent=1) + "\n")
  kind = "seeds" if options.seeds else "folds"
  lines = ["", f"{len(results)} {kind}, each in a folder of "
               f"{options.model_dir}; mean and standard deviation:"]
  for title, one in (("", summary), ("test ", test_summary)):
    # The one that decides first.
    lines += [_line(title + metric, one[metric]) for metric in sorted(
        one, key=lambda metric: metric != results[0].metric)]
  baselines = [r.baseline for r in results if r.baseline is not None]
  if baselines:
    lines.append(f"  {'always the commonest':<24} {np.mean(baselines):8.4f} "
                 "accuracy")
  if options.folds:
    lines.append(f"  {_pooled(options.model_dir, results)}  a line for every "
                 "training row, predicted by the run that did not see it")
  return "\n".join(lines + [f"  {path}  all numbers"])


def _summaries(metrics) -> dict:
  """Metric -> its summary, of the metrics of each run."""
  return {name: _summary([one[name] for one in metrics])
          for name in metrics[0]}


def _line(metric, summary) -> str:
  return (f"  {metric.replace('_', ' '):<24} {summary['mean']:8.4f} +- "
          f"{summary['standard_deviation']:.4f}   from {summary['lowest']:.4f} "
          f"to {summary['highest']:.4f}")


def _summary(values) -> dict:
  spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
  return dict(mean=float(np.mean(values)), standard_deviation=spread,
              lowest=min(values), highest=max(values))


def _pooled(folder: str, results) -> str:
  """Writes the predictions of all folds as one file; returns its path."""
  table, rows = [], [row for result in results for row in result.rows]
  for result in results:
    table += zip(result.rows, predictions.lines(
        result.rows, result.labels, result.logits, rows))
  table.sort(key=lambda entry: (entry[0].path, [
      int(part) for part in entry[0].place.split(".")]))
  path = os.path.join(folder, "predictions.tsv")
  predictions.write(path, results[0].labels, [line for _, line in table])
  return path
