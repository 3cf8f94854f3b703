"""How long a model takes, from measured times of its layers. No TensorFlow.

A layer's time depends on the tokens that come in, n, and those it keeps, k. The
table holds times on a grid, made monotone; between its points they are
interpolated linearly. A list takes the sum over its layers, and the fixed part:
embeddings and head.

    kept_all   [n] -> ms       a layer that selects nothing
    selecting  [n, k] -> ms    a layer that keeps k < n; what stands at k = n is
                               the time of keeping one less
    last       either of these for the last layer, which works on [CLS] only
"""

import bisect
import dataclasses
import json
from typing import Any, Mapping, Sequence

import numpy as np

from official_style import files
from official_style.errors import UserError
from official_style.modeling import retention_schedule

FORMAT, VERSION = "latency_table", 1


def monotone(values) -> np.ndarray:
  """Non-decreasing along all axes; what already is stays as it is.

  The mean of the smallest such array above and the largest one below.

  Args:
    values: float[...]; NaN where there is none.
  """
  above = np.where(np.isnan(values), -np.inf, values)
  below = np.where(np.isnan(values), np.inf, values)
  for axis in range(np.ndim(values)):
    above = np.maximum.accumulate(above, axis)
    below = np.flip(np.minimum.accumulate(np.flip(below, axis), axis), axis)
  with np.errstate(invalid="ignore"):
    return np.where(np.isnan(values), np.nan, (above + below) / 2)


@dataclasses.dataclass(frozen=True)
class LayerTimes:
  """Milliseconds of one kind of layer.

  Attributes:
    grid: g numbers of tokens, ascending.
    kept_all: float[g], by tokens in, where all are kept.
    selecting: float[g g], by tokens in and kept, of those in at most.
  """
  grid: tuple[int, ...]
  kept_all: np.ndarray
  selecting: np.ndarray

  @classmethod
  def of(cls, grid, kept_all, selecting) -> "LayerTimes":
    """Of measured times, which need not be monotone."""
    return cls(tuple(grid), monotone(np.asarray(kept_all, float)),
               monotone(np.asarray(selecting, float)))

  def milliseconds(self, tokens: int, kept: int) -> float:
    """Of a layer with so many tokens in, of which it keeps so many."""
    if kept >= tokens:
      return float(np.interp(tokens, self.grid, self.kept_all))
    # Which rows of the table the tokens lie between.
    i = min(max(bisect.bisect_right(self.grid, tokens) - 1, 0),
            len(self.grid) - 1)
    j = min(i + 1, len(self.grid) - 1)
    low, high = (float(np.interp(
        kept, self.grid[:row + 1], self.selecting[row, :row + 1]))
                 for row in (i, j))
    if i == j or tokens <= self.grid[i]:
      return low
    part = (tokens - self.grid[i]) / (self.grid[j] - self.grid[i])
    return low + part * (high - low)


@dataclasses.dataclass(frozen=True)
class LatencyTable:
  """Times of a model's parts on one machine.

  Attributes:
    settings: what they hold for: sizes, selection, batch size, threads.
    layer: `LayerTimes` of all layers but the last.
    last: of the last.
    fixed: milliseconds of embeddings and head.
    details: what else is in the file: machine, versions, command.
  """
  settings: Mapping[str, Any]
  layer: LayerTimes
  last: LayerTimes
  fixed: float
  details: Mapping[str, Any]

  def milliseconds(self, lengths: Sequence[int]) -> float:
    """Predicted time of a batch, whose layers keep so many tokens."""
    n = self.settings["seq_length"]
    total, before = self.fixed, n
    kept = retention_schedule.lengths_at(lengths, n)
    for k in kept[:-1]:
      total += self.layer.milliseconds(before, k)
      before = k
    if self.settings["place"] != retention_schedule.PRE_LAYER:
      return total + self.last.milliseconds(before, before)
    return total + self.last.milliseconds(before, kept[-1])

  def check_fits(self, path: str, settings: Mapping[str, Any]):
    """Refuses a table of another model, or other conditions.

    Raises:
      UserError: naming what differs.
    """
    wanted = json.loads(json.dumps(settings))
    for name in wanted.keys() | self.settings.keys():
      ours, theirs = wanted.get(name), self.settings.get(name)
      if ours != theirs:
        raise UserError(f"{path}: its times are for {name}={theirs}, and this "
                        f"search is for {ours}: measure anew, with another "
                        "--latency_table or --output")

  def save(self, path: str):
    """Writes the table; it appears when it is complete."""
    files.write(path, json.dumps(dict(
        format=FORMAT, version=VERSION, settings=self.settings,
        fixed_ms=self.fixed, layer=_to_json(self.layer),
        last=_to_json(self.last)) | dict(self.details), indent=1) + "\n")


def load(path: str, is_own: bool = False) -> LatencyTable:
  """Reads what `save` wrote.

  Args:
    path: of the file.
    is_own: whether the search has written it beside its output, rather than
      been given it.

  Raises:
    UserError: if it isn't there or no such file.
  """
  said = path if is_own else f"--latency_table={path}"
  mend = ("delete it, or start over with --restart" if is_own
          else "leave it out to measure")
  try:
    with open(path, encoding="utf-8") as f:
      content = json.load(f)
  except OSError as error:
    raise UserError(f"{said}: can't be read ({error.strerror}): {mend}"
                    ) from error
  except (ValueError, RecursionError):
    content = None
  if not isinstance(content, dict) or content.get("format") != FORMAT or (
      content.get("version") != VERSION):
    raise UserError(f"{said}: no latency table of this program: {mend}")
  try:
    known = ("format", "version", "settings", "fixed_ms", "layer", "last")
    for value in (content["settings"], content.get("machine", {})):
      if not isinstance(value, dict):
        raise ValueError(f"{str(value)[:40]} is no object")
    return LatencyTable(
        content["settings"], _from_json(content["layer"]),
        _from_json(content["last"]), float(_times(content["fixed_ms"], ())),
        {k: v for k, v in content.items() if k not in known})
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise UserError(f"{said}: damaged ({error}): {mend}") from error


def _times(values, shape) -> np.ndarray:
  """Milliseconds as an array, after looking at them."""
  values = np.array(values, float)
  if values.shape != shape:
    raise ValueError(f"{values.size} times where there should be "
                     f"{np.prod(shape, dtype=int)}")
  if not (np.isfinite(values) & (values >= 0)).all():
    raise ValueError("a time that is below 0 or no number")
  return values


def _to_json(times: LayerTimes) -> dict:
  return dict(grid=list(times.grid), kept_all_ms=times.kept_all.tolist(),
              selecting_ms=[row[:i + 1].tolist()
                            for i, row in enumerate(times.selecting)])


def _from_json(content) -> LayerTimes:
  grid = tuple(content["grid"])
  if not grid or not all(isinstance(n, int) for n in grid) or any(
      a >= b for a, b in zip((0, *grid), grid)):
    raise ValueError("its grid does not ascend")
  selecting = np.full((len(grid), len(grid)), np.nan)
  for i, row in enumerate(content["selecting_ms"]):
    selecting[i, :i + 1] = _times(row, (i + 1,))
  return LayerTimes(grid, _times(content["kept_all_ms"], (len(grid),)),
                    selecting)
