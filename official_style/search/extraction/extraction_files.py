"""What an extraction leaves: a table, a summary, a Gin file, and words."""

import csv
import io
import json
import math
from typing import Any, Mapping, Optional

from official_style.search.extraction import extraction_results
from official_style.search.extraction import w_coefficient
from official_style.search.extraction.architecture import Architecture

# Columns whose values change from run to run begin with one of these; they are
# the last ones.
TIMED = ("ms_", "iqr_ms_", "cpu_ms_", "relative_", "latency_", "cpu_seconds")


def rows(results: extraction_results.ExtractionResults) -> list[dict]:
  """A line for each candidate, in order, and last the maximum point."""
  macs_front = results.front("macs")
  latency_front = results.front("latency") if results.latencies else []
  trained = set(results.trained)
  lines = []
  for place, one in enumerate([*results.order, results.reference]):
    line: dict[str, Any] = dict(
        name=one.name, num_layers=one.num_layers,
        num_attention_heads=one.num_attention_heads,
        hidden_size=one.hidden_size, inner_dim=one.inner_dim,
        place="maximum" if place == len(results.order) else place,
        leading_term=one.leading_term, parameters=one.parameters(results.like),
        block_parameters=one.block_parameters(results.like))
    for n in results.lengths:
      line[f"macs_{n}"] = one.macs(results.like, n)
    is_trained = one in trained and place < len(results.order)
    line |= _errors(results, one if is_trained else None)
    line |= _judged(results, one if is_trained else None, "macs", macs_front)
    for n in results.lengths:
      known = results.latencies.get((one.name, n), {})
      line |= {f"{name}_{n}": known.get(name) for name in (
          "ms", "iqr_ms", "cpu_ms", "relative", "relative_cpu")}
    line |= _judged(
        results, one if is_trained and results.latencies else None, "latency",
        latency_front)
    line["cpu_seconds"] = sum(
        results.runs[one.name, rate, seed, results.steps]["cpu_seconds"]
        for rate in results.learning_rates for seed in results.seeds
    ) if is_trained else None
    lines.append(line)
  return lines


def _errors(results, one: Optional[Architecture]) -> dict:
  """Means over seeds and deviations, at the best learning rate."""
  line = dict(learning_rate=None)
  for name in extraction_results.ALL_MEASURES:
    line |= {name: None, f"{name}_deviation": None}
  if one is None:
    return line
  rate = line["learning_rate"] = results.best_rate(one, results.steps)
  for name in extraction_results.ALL_MEASURES:
    values = [results.measured(one, rate, seed, results.steps, name)
              for seed in results.seeds]
    mean = line[name] = sum(values) / len(values)
    line[f"{name}_deviation"] = math.sqrt(sum(
        (x - mean)**2 for x in values) / (len(values) - 1)) if (
            len(values) > 1 and math.isfinite(mean)) else None
  return line


def _judged(results, one, inference, front) -> dict:
  names = [f"{inference}_{x}" for x in (
      "w", "w_deviation", "above_maximum", "on_front")]
  if one is None:
    return dict.fromkeys(names)
  spread = results.w_spread(one, inference)
  return dict(zip(names, (
      results.w(one, None, inference), None if math.isnan(spread) else spread,
      w_coefficient.above(results.objectives(one, None, inference),
                          results.maximum), int(one.name in front))))


def json_text(summary: Mapping[str, Any]) -> str:
  """What is no number, or infinite, is null: JSON has neither."""
  return json.dumps(_plain(summary), indent=1, allow_nan=False) + "\n"


def _plain(value):
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def is_timed(column: str) -> bool:
  """Whether a column's values come from a clock."""
  return column.startswith(TIMED)


def csv_text(lines: list[dict]) -> str:
  """The table; a missing value is an empty field."""
  columns = sorted(lines[0], key=is_timed)  # Stable.
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(columns)
  for line in lines:
    writer.writerow(map(_field, (line[name] for name in columns)))
  return text.getvalue()


def _field(value) -> str:
  if value is None:
    return ""
  return f"{value:.9g}" if isinstance(value, float) else str(value)


def gin_text(found: Architecture, learning_rate: float, steps: int,
             provenance: Mapping[str, Any]) -> str:
  """A Gin file over an experiment that has our size macros."""
  return f"""\
# A BERT of {found.num_layers} layers, {found.num_attention_heads} heads, \
hidden size {found.hidden_size}, inner size {found.inner_dim}, found by
#     {provenance.get("command", "tools/extract_subarchitecture.py")}
# Sizes only: it is to be trained from scratch. Of the learning rates that were
# tried for {steps} steps, {learning_rate:g} did best.
# Command:   python train.py --experiment=bert --gin_file=found.gin

NUM_LAYERS = {found.num_layers}
NUM_ATTENTION_HEADS = {found.num_attention_heads}
HIDDEN_SIZE = {found.hidden_size}
INNER_DIM = {found.inner_dim}
"""


def text(results: extraction_results.ExtractionResults,
         summary: Mapping[str, Any]) -> str:
  """For a terminal."""
  found = results.found()
  n = results.lengths[0]
  lines = ["", f"maximum point  {results.reference.name}: "
           f"{results.reference.parameters(results.like):,} parameters",
           f"candidates     {len(results.order)}, {len(results.trained)} of "
           f"them trained for {results.steps} steps, "
           f"{len(results.learning_rates)} learning rates, "
           f"{len(results.seeds)} seeds", "",
           f"{'D-A-H-I':<18}{'parameters':>12}{'ms':>9}{'relative':>10}"
           f"{results.error:>15}{'W':>9}  front"]
  front = results.front()
  ranked = sorted(results.trained, key=lambda one: -(results.w(one) or -1))
  for one in ranked[:10]:
    known = results.latencies.get((one.name, n), {})
    w = results.w(one)
    lines.append(
        f"{one.name:<18}{one.parameters(results.like):>12,}"
        f"{known.get('ms', math.nan):>9.3f}"
        f"{results.inference_of(one, results.inference):>10.3f}"
        f"{results.objectives(one).error:>15.4f}"
        f"{'none' if w is None else format(w, '.4f'):>9}"
        f"{'  *' * (one.name in front)}")
  lines.append("" if found else "no candidate has a W: all cost more than the "
               "maximum point")
  return "\n".join(lines + _comparison(summary))


def _comparison(summary) -> list[str]:
  lines = []
  if summary["regrets"]:
    lines.append("W(eps) / W(1)  the stride begun anywhere, random search and "
                 "halving with as many steps: mean (5th percentile)")
    for line in summary["regrets"]:
      lines.append(f"  eps {line['eps']:<3} {line['candidates']:>4} candidates"
                   f"   first stride {line['stride']:.4f}" + "".join(
                       f"   {name} {line[key]['mean']:.4f} "
                       f"({line[key]['percentile_5']:.4f})"
                       for name, key in (("any stride", "stride_offsets"),
                                         ("random", "random"),
                                         ("halving", "halving"))))
  for n, found in summary["correlations"].get("macs_latency", {}).items():
    lines.append(f"MACs and latency at {n} tokens: Kendall "
                 f"{found['kendall']:.3f}, Spearman {found['spearman']:.3f}")
  if summary["long"]:
    check, error = summary["long"], summary["error"]
    lines.append(
        f"errors after {summary['steps']} and {check['steps']} steps: Kendall "
        f"{check['tau'][error]:.3f}, {check['candidates']} candidates")
  seeds = summary["seeds"]
  if seeds["tau_between_seeds"] is not None:
    lines.append(
        f"W of two seeds: Kendall {seeds['tau_between_seeds']:.3f}; deviation "
        f"{seeds['median_relative_spread_of_w']:.1%} of W; alone they find "
        + ", ".join(str(name) for name in seeds["found"].values()))
  lines.append(f"processor time {summary['cpu_seconds']['total']:,.0f} s")
  return lines
