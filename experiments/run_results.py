"""What runs reached, what they were made with, and how tables tell it.

A result is a dict, with `settings`, `revision` and `processor` where these are
known. A file of results outlives the runs: on a machine that has some of them
only, or none, a report keeps what the file knows of the others, as long as it
was made with the settings that runs would be made with now.
"""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import statistics
import sys
from typing import Mapping, Optional

import job_queue
from benchmarking import machine

from official_style import files


def evaluations(folder: pathlib.Path, split: str = "eval") -> list[dict]:
  """Metrics of a run on held-out rows, in order; none where it has not run."""
  path = folder / "metrics.jsonl"
  if not path.exists():
    return []
  with path.open(encoding="utf-8") as f:
    return [row for row in map(json.loads, f) if row["split"] == split]


def named(places: type):
  """Places in which each folder and file is its name, as `<corpus>`.

  Args:
    places: a dataclass, of what the `arguments` of jobs are given.
  """
  return places(*(pathlib.PurePath(f"<{field.name}>")
                  for field in dataclasses.fields(places)))


def settings(job, jobs, places) -> list[str]:
  """What a run hangs on: its command, and those of what it starts from.

  Args:
    job: see `job_queue`.
    jobs: all of the experiment.
    places: `named`, as these differ between machines.
  """
  return [shlex.join(_command(one, places)) for one in _chain(job, jobs)]


def origin(job, jobs, places, runs: pathlib.Path) -> dict:
  """What a finished run was really made with.

  Returns:
    `settings`, which are those of the function above unless the program has
    changed since, `revision`, `begun_with` where that was another one, and
    `processor`; nothing where they are unknown.
  """
  records = [(one, job_queue.record(one, runs)) for one in _chain(job, jobs)]
  if any(record is None for _, record in records):
    return {}
  _, own = records[0]
  return dict(
      settings=[shlex.join(_with_names(
          record["command"], _command(one, places)))
                for one, record in records],
      revision=own["revision"],
      processor=own.get("machine", {}).get("processor")) | {
          name: own[name] for name in ("begun_with",) if name in own}


def _chain(job, jobs):
  """A job, the one it starts from, the one that starts from, ..."""
  by_name = {one.name: one for one in jobs}
  while job is not None:
    yield job
    job = by_name.get(getattr(job, "after", ""))


def _command(job, places) -> list[str]:
  return [getattr(job, "program", "train.py"), *job.arguments(places)]


def _with_names(command, like) -> list[str]:
  """A command with names for its folders, where it is like another one."""
  words = [word for word in command if not word.startswith("--model_dir=")]
  if len(words) != len(like):
    return words
  return [pattern if re.fullmatch(
      re.sub(r"<\w+>", ".*", re.escape(pattern)), word) else word
          for word, pattern in zip(words, like)]


def with_known(recipes: Mapping[tuple, Optional[list]], results: list[dict],
               file: pathlib.Path, names: tuple) -> list[dict]:
  """Results, and those a file knows of runs that are not there.

  A result of other settings than its recipe is left out. One that doesn't say
  what it was made with stays only where there is no other. Either is told.

  Args:
    recipes: by the values of `names`, in order, the `settings` of every run
      now; None where nobody noted any.
    results: of runs that are there; they win.
    file: JSON, a list of results, or an object with one; it may be missing.
    names: which fields tell runs apart.
  """
  known = json.loads(file.read_text("utf-8")) if file.exists() else []
  if isinstance(known, dict):
    known = known["results"]
  found, other = {}, []
  for result in sorted(known + results, key=lambda one: "settings" in one):
    key = tuple(result[name] for name in names)
    if key not in recipes:
      continue
    if result.get("settings", recipes[key]) == recipes[key]:
      found[key] = result
    else:
      other.append(key)
  _tell(file, "of other settings than now, left out", other)
  _tell(file, "that don't say what they were made with", [
      key for key, result in found.items()
      if recipes[key] is not None and "settings" not in result])
  return [found[key] for key in recipes if key in found]


def _tell(file, what, keys):
  if keys:
    print(f"{file.name}: results {what}: "
          + "; ".join(" ".join(map(str, key)) for key in keys),
          file=sys.stderr)


def write(file: pathlib.Path, results: list[dict], **more):
  """Writes results and whatever else, whole or not at all.

  Command, machine, versions and revision beside them are those of the program
  that writes. Runs may be older, or of elsewhere: see `origin`. So a file that
  holds just these stays as it is: to tell them again makes nothing.
  """
  command = [os.path.relpath(sys.argv[0], job_queue.ROOT), *sys.argv[1:]]
  content = json.loads(json.dumps(more | dict(results=results)))
  if file.exists():
    known = json.loads(file.read_text("utf-8"))
    if isinstance(known, dict) and known == known | content:
      return
  content = machine.provenance(str(job_queue.ROOT), command) | content
  files.write(str(file), json.dumps(content, indent=1) + "\n")


def spread(values, scale: float = 1, digits: int = 3) -> str:
  """Mean and, of several values, sample standard deviation."""
  values = [scale * value for value in values]
  text = f"{statistics.mean(values):.{digits}f}"
  return (f"{text} ± {statistics.stdev(values):.{digits}f}"
          if len(values) > 1 else text)
