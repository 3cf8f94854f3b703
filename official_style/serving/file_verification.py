"""LiteRT and ONNX files of an export, loaded far from here and compared.

Axes: r rows, n tokens.
"""

import os
import statistics

import numpy as np

from official_style.serving import file_answers
from official_style.serving import stranger_process
from official_style.serving import tensor_json
from official_style.serving import warm_up
from official_style.training import finished_run

# Of a manifest: what files, how many rows are asked at once, and what those
# that run them have not installed. None is all rows.
_RUNTIMES = {"litert": ((1,), (1,), ()),
             "onnx": ((1, None), (1, 32), ("tensorflow", "tf2onnx", "onnx"))}


def verified(folder: str, place: str, run: finished_run.FinishedRun, rows: list,
             manifest: dict, rounds: int, least_seconds: float) -> list[dict]:
  """What files answer in processes of their own.

  Args:
    folder: of a copy of the version.
    place: for copies of the programs that load it.
    run: what it was made from.
    rows: of texts, those that `verification_cases` has.
    manifest: of the version.
    rounds, least_seconds: of the times that are taken.

  Returns:
    For each file its name, what `file_answers.facts_of` says, by rows of a call
    the median of `milliseconds`, and `problems`, one line each.
  """
  return [facts for kind in _RUNTIMES if manifest.get(kind)
          for facts in _of_kind(kind, folder, place, run, rows, manifest,
                                rounds, least_seconds)]


def line(facts: dict) -> str:
  """What is known of a file, for a terminal."""
  times = ", ".join(f"{ms:.2f} ms for {count} row{'s' * (count != '1')}"
                    for count, ms in facts["milliseconds"].items())
  return "; ".join(filter(None, (file_answers.line(facts), times)))


def _of_kind(kind, folder, place, run, rows, manifest, rounds, least_seconds):
  sizes, timed_sizes, missing = _RUNTIMES[kind]
  files = manifest[kind]
  encoded = [file_answers.fitting(run, rows, facts["tokens"])
             for facts in files]
  answer = stranger_process.ask("reload_files.py", dict(
      folder=folder, blocked=[*stranger_process.BLOCKED, *missing],
      rounds=rounds, least_seconds=least_seconds,
      threads=len(os.sched_getaffinity(0)), files=[dict(
          file=facts["file"], rows=_dumped(inputs),
          batch_sizes=[size or max(1, len(inputs["input_mask"]))
                       for size in sizes],
          timed=_dumped(_full(run, facts["tokens"], manifest["is_pair"])),
          timed_sizes=timed_sizes) for facts, inputs in zip(files, encoded)]),
                                place)
  if "error" in answer:
    return [dict(file=facts["file"], rows=0, milliseconds={},
                 problems=[answer["error"]]) for facts in files]
  return [_facts(run, file, inputs, got, timed_sizes)
          for file, inputs, got in zip(files, encoded, answer["files"])]


def _facts(run, file, inputs, got, timed_sizes) -> dict:
  wanted = file_answers.wanted_of(run, inputs)
  facts = file_answers.facts_of(run, wanted, [
      {name: tensor_json.loaded(x) for name, x in case.items()}
      for case in got["cases"]])
  problems = []
  if not facts["largest_difference"] <= file_answers.tolerance_of(file["file"]):
    problems.append(f"differs by {facts['largest_difference']:.1e}")
  return dict(file=file["file"], bytes=file["bytes"]) | facts | dict(
      milliseconds={str(size): statistics.median(ms) for size, ms in zip(
          timed_sizes, got["milliseconds"])}, problems=problems)


def _full(run, n, is_pair) -> dict:
  """int32[1 ... n]: a row with a token in nearly every place."""
  parts = 2 if is_pair else 1
  text = warm_up.text_of(run.tokenizer, (n - 4) // parts).encode()
  return file_answers.fitting(run, [((text,) * parts,) * run.num_choices], n)


def _dumped(rows) -> dict:
  return {name: tensor_json.dumped(np.asarray(x)) for name, x in rows.items()}
