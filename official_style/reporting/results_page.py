"""The tables and plots of a folder of results, as one HTML file."""

import csv
import io
import json
import os

from official_style.errors import UserError
from official_style.reporting import html_page
from official_style.reporting import measured_points
from official_style.reporting import speed_accuracy
from official_style.reporting.visible_text import escaped

_MAX_BYTES = 16 << 20
_MAX_ROWS, _MAX_CHARACTERS = 200, 20_000
# A quotation mark of TSV is a character like any other.
_TABLES = {".csv": dict(delimiter=","),
           ".tsv": dict(delimiter="\t", quoting=csv.QUOTE_NONE)}
_ENDINGS = (".png", ".json", ".md", ".txt", *_TABLES)


def text_of(folder: str, baseline: str = "dense") -> str:
  """The whole file: what lies in the folder itself, by name.

  Files of points (`measured_points`) become a plot and a table; pictures,
  tables and texts are shown, other JSON folded.

  Args:
    folder: with .png, .json, .csv, .tsv, .md and .txt files.
    baseline: the method that is the dense model, in files of points.

  Raises:
    UserError: if there is nothing to show, or a file can't be read.
  """
  if not os.path.isdir(folder):
    raise UserError(f"{folder}: no such folder: give one of results")
  names = sorted(name for name in os.listdir(folder)
                 if name.lower().endswith(_ENDINGS)
                 and not name.startswith("."))
  if not names:
    raise UserError(f"{folder}: holds no {', '.join(_ENDINGS)} file to show")
  parts = []
  for name in names:
    path = os.path.join(folder, name)
    parts += [f"<h2>{escaped(name)}</h2>", _part(path, baseline)]
  title = os.path.basename(os.path.abspath(folder))
  return html_page.page(f"Results: {title}", parts)


def _part(path, baseline) -> str:
  content, ending = _read(path), os.path.splitext(path)[1].lower()
  if ending == ".png":
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
      raise UserError(f"{path}: is no PNG picture: draw it again")
    return html_page.picture(content, os.path.basename(path))
  text = content.decode("utf-8", "replace")
  if ending in _TABLES:
    # The limit is global to the process; a field may be the whole file.
    csv.field_size_limit(_MAX_BYTES)
    rows = list(csv.reader(
        io.StringIO(text, newline=""), **_TABLES[ending]))
    return _table(rows[0], rows[1:]) if rows else _text("")
  if ending == ".json":
    return _json(path, text, baseline)
  return _text(text)


def _read(path) -> bytes:
  try:
    with open(path, "rb") as f:
      content = f.read(_MAX_BYTES + 1)
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror})") from error
  if len(content) > _MAX_BYTES:
    raise UserError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, too much for "
                    "a page: move it elsewhere")
  return content


def _json(path, text, baseline) -> str:
  try:
    value = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: no JSON ({error})") from error
  points = value.get("points") if isinstance(value, dict) else value
  flat = isinstance(points, list) and points and all(
      isinstance(point, dict) for point in points)
  if flat and all("method" in p and "quality" in p for p in points):
    return _points(measured_points.measurements(value, path), baseline)
  if flat and not any(isinstance(item, (dict, list))
                      for point in points for item in point.values()):
    names = list(dict.fromkeys(name for point in points for name in point))
    return _table(names, [[_value(point.get(name)) for name in names]
                          for point in points])
  return html_page.folded("as JSON", _text(json.dumps(value, indent=1)))


def _points(found, baseline) -> str:
  front = found.front()
  header = ["method", "budget", "seeds", measured_points.TIMES[found.time_name],
            found.metric, "nothing faster is as good"]
  rows = [[group.method, group.budget or "", str(group.seeds),
           _spread(group.time, group.time_spread),
           _spread(group.quality, group.quality_spread),
           "yes" if group in front else ""] for group in found.groups]
  words = (f"{found.metric} against {measured_points.TIMES[found.time_name]} "
           f"of {', '.join(found.methods)}; the table says the same")
  return (html_page.picture(
      speed_accuracy.draw(found, "png", baseline), words)
          + html_page.table(header, rows)
          + html_page.paragraph("Means over seeds, and standard deviations.",
                                soft=True))


def _spread(mean, spread) -> str:
  return f"{mean:.4g}" + (f" ± {spread:.2g}" if spread else "")


def _value(value) -> str:
  if isinstance(value, float):
    return f"{value:.6g}"
  return "" if value is None else str(value)


def _table(header, rows) -> str:
  made = html_page.table(header, rows[:_MAX_ROWS])
  if len(rows) > _MAX_ROWS:
    made += html_page.paragraph(
        f"{len(rows) - _MAX_ROWS:,} rows more are in the file.", soft=True)
  return made


def _text(text) -> str:
  lines = "\n".join(map(escaped, text[:_MAX_CHARACTERS].split("\n")))
  cut = (html_page.paragraph("The rest is in the file.", soft=True)
         if len(text) > _MAX_CHARACTERS else "")
  return f"<div class=wide><pre>{lines}</pre></div>{cut}"
