"""Loads an export far from here and compares it with its checkpoint."""

import dataclasses
import glob
import importlib.util
import json
import mmap
import os
import shutil
import stat
import statistics
import tempfile
from typing import Callable

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from official_style import files
from official_style.errors import UserError
from official_style.serving import answer_comparison
from official_style.serving import export_manifest
from official_style.serving import file_verification
from official_style.serving import serving_model
from official_style.serving import stranger_process
from official_style.serving import tensor_json
from official_style.serving import verification_cases
from official_style.serving import warm_up
from official_style.training import finished_run

# Libraries of tensorflow-text that stock TensorFlow Serving links: ops_lib of
# tensorflow_text/BUILD (2.20), named by SUPPORTED_TENSORFLOW_OPS of
# tensorflow_serving/model_servers/BUILD (2.20.0), by their files in the wheel.
LINKED_LIBRARIES = (
    "boise_offset_converter", "byte_splitter", "constrained_sequence_op",
    "fast_bert_normalizer", "fast_sentencepiece_tokenizer",
    "fast_wordpiece_tokenizer", "mst_ops", "ngrams_op", "normalize_ops",
    "phrase_tokenizer", "regex_split_ops", "sentence_breaking_ops",
    "sentencepiece_tokenizer", "split_merge_from_logits_tokenizer",
    "split_merge_tokenizer", "state_based_sentence_breaker_op", "trimmer_ops",
    "unicode_script_tokenizer", "utf8_binarize_op", "whitespace_tokenizer",
    "whitespace_tokenizer_v2", "wordpiece_tokenizer")
_ROUNDS, _BATCH_SIZES = 7, (1, 32)
# What a short request is repeated for in a round.
_LEAST_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class VerificationReport:
  """What was found; the fields are those of verify.json."""
  facts: dict

  @property
  def passed(self) -> bool:
    return self.facts["passed"]

  def lines(self) -> list[str]:
    """For a terminal."""
    facts = self.facts
    lines = []
    for name, found in facts["loaded"].items():
      if "error" in found:
        lines.append(f"{name}: not loaded: {found['error']}")
        continue
      lines.append(f"{name}: {answer_comparison.line(found)}")
      lines += [f"  {name}: {problem}" for problem in found["problems"]]
    ops = facts["ops"]
    lines.append(
        f"ops: {len(ops['core'])} of TensorFlow, {len(ops['text'])} of "
        f"tensorflow-text, {len(ops['not_linked'])} that TensorFlow Serving "
        "does not link" + _named(ops["not_linked"])
        + (f"; reads files: {', '.join(ops['of_files'])}"
           if ops["of_files"] else "")
        + (f"; {len(ops['halves'])} tensors of half precision"
           if ops["halves"] else ""))
    if facts["naming_sources"]:
      lines.append("holding paths of what it was made from: "
                   + ", ".join(facts["naming_sources"]))
    lines.append("milliseconds a request on this machine, medians of "
                 f"{facts['latency']['rounds']} rounds (and of text over ids, "
                 "round by round):")
    lines += [f"  {row['bucket']:5} tokens, {row['rows']:2} rows: ids "
              f"{row['ids']:.2f}, text {row['text']:.2f} "
              f"({row['ratio'] - 1:+.1%})"
              for row in facts["latency"]["buckets"]]
    for found in facts["files"]:
      lines.append(file_verification.line(found))
      lines += [f"  {found['file']}: {problem}"
                for problem in found["problems"]]
    lines.append("verified" if self.passed else "NOT verified")
    return lines


def verify(folder: str, run: finished_run.FinishedRun,
           rows: list, show: Callable[[str], None] = lambda line: None
           ) -> VerificationReport:
  """Checks an export, and writes verify.json beside its manifest.

  Args:
    folder: of a version.
    run: what it was made from.
    rows: to ask, of `verification_cases.rows_of`.
    show: is told what is being done.

  Raises:
    UserError: if files are not as the manifest says, or it does not load.
  """
  show("checking files")
  manifest = export_manifest.check(folder)
  show("asking the checkpoint")
  cases = verification_cases.of(
      run, rows, "embeddings" in manifest["signatures"])
  if "masked_lm" in manifest["signatures"]:
    top_k = manifest["signatures"]["masked_lm"]["outputs"]["words"]["shape"][2]
    cases.append(verification_cases.masked_case(run, top_k))
  with tempfile.TemporaryDirectory() as place:
    copy = os.path.join(place, "elsewhere", "1")
    shutil.copytree(folder, copy)
    _read_only(copy)
    request = _request(copy, run, manifest, cases)
    show("loading it in Python")
    python = stranger_process.ask("reload_in_python.py", request, place)
    show("loading it through the C API")
    in_c = stranger_process.ask("reload_in_c.py", request, place)
    show("loading LiteRT and ONNX files")
    others = file_verification.verified(
        copy, place, run, rows, manifest, _ROUNDS, _LEAST_SECONDS)
    _writable(copy)
    export_manifest.check(copy)
    naming = _naming_sources(copy, run, manifest["files"])
  report = _report(manifest, cases, python, in_c, others, naming)
  files.write(os.path.join(folder, export_manifest.REPORT),
              json.dumps(report.facts, indent=1, ensure_ascii=False) + "\n")
  return report


def _report(manifest, cases, python, in_c, others, naming
            ) -> VerificationReport:
  if "error" in python:
    raise UserError("the export does not load in a fresh process: "
                    f"{python['error']}")
  ops = python["ops"]
  # Of an export that was made before there was a choice.
  precision = manifest.get("precision", serving_model.FLOAT32)
  facts = dict(
      precision=precision, loaded={
          name: answer_comparison.compared(cases, answer, precision)
          for name, answer in (("Python", python), ("C API", in_c))},
      ops=ops, load_s=python["load_s"], tensorflow=python["tensorflow"],
      latency=_latency(manifest, python["milliseconds"]), files=others,
      naming_sources=naming)
  wrong = any(found.get("problems", True)
              for found in (*facts["loaded"].values(), *others))
  facts["passed"] = not (
      wrong or naming or ops["not_linked"] or ops["of_files"]
      or ops["halves"] and precision == serving_model.FLOAT32)
  return VerificationReport(facts)


def _naming_sources(folder, run, names) -> list[str]:
  """Files of an export that hold a path of what it was made from."""
  here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  task = run.config.task
  paths = [os.path.abspath(path).encode() for path in (
      here, run.path, task.vocab_file, task.train_data.input_path) if path]
  # A folder of the root, as /data, is in names of the graph and tells nothing.
  paths = [path for path in paths if path.count(b"/") > 1]
  found = []
  for name in names:
    path = os.path.join(folder, name)
    if os.path.getsize(path):
      with open(path, "rb") as f, mmap.mmap(
          f.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found += [name] * any(content.find(word) >= 0 for word in paths)
  return found


def _request(folder, run, manifest, cases) -> dict:
  """What the programs that load the copy are told."""
  runtime = tf.sysconfig.get_lib()
  text = importlib.util.find_spec("tensorflow_text").submodule_search_locations
  libraries = [os.path.join(text[0], "python", "ops", f"_{name}.so")
               for name in LINKED_LIBRARIES]
  return dict(
      folder=folder, blocked=stranger_process.BLOCKED, rounds=_ROUNDS,
      least_seconds=_LEAST_SECONDS,
      libraries=[path for path in libraries if os.path.exists(path)],
      runtime=[sorted(glob.glob(os.path.join(runtime, f"{name}.so*")))[0]
               for name in ("libtensorflow_framework", "libtensorflow_cc")],
      tensors=_tensor_names(folder),
      cases=[dict(signature=case.signature, inputs=_dumped(case.inputs))
             for case in cases],
      timings=[dict(signature=name, inputs=_dumped(inputs))
               for _, _, name, inputs in _timings(run, manifest)])


def _timings(run, manifest):
  """Yields (bucket, rows, signature, inputs)."""
  c = run.num_choices
  parts = 2 if manifest["is_pair"] else 1
  for n in manifest["buckets"]:
    text = warm_up.text_of(run.tokenizer, (n - 4) // parts).encode()
    for b in _BATCH_SIZES:
      rows = [((text,) * parts,) * c] * b
      encoded = verification_cases.trimmed(run.rows(rows).rows(np.arange(b)))
      yield n, b, "ids", encoded
      yield n, b, "serving_default", verification_cases.texts_of(
          rows, run.labels)


def _latency(manifest, milliseconds) -> dict:
  """By bucket and rows: medians, and that of text over ids in each round.

  Args:
    manifest: of the export.
    milliseconds: lists of all rounds, in the order of `_timings`.
  """
  found, times = [], iter(milliseconds)
  for n in manifest["buckets"]:
    for b in _BATCH_SIZES:
      ids, text = next(times), next(times)
      found.append(dict(
          bucket=n, rows=b, ids=statistics.median(ids),
          text=statistics.median(text), ratio=statistics.median(
              slower / faster for slower, faster in zip(text, ids))))
  return dict(rounds=_ROUNDS, buckets=found)


def _tensor_names(folder) -> dict:
  """Names of tensors in the graph, by signature, `inputs` and `outputs`."""
  with open(os.path.join(folder, "saved_model.pb"), "rb") as f:
    saved = saved_model_pb2.SavedModel.FromString(f.read())
  return {name: dict(
      inputs={key: info.name for key, info in signature.inputs.items()},
      outputs={key: info.name for key, info in signature.outputs.items()})
          for name, signature in saved.meta_graphs[0].signature_def.items()}


def _dumped(inputs) -> dict:
  return {name: tensor_json.dumped(x) for name, x in inputs.items()}


def _read_only(folder):
  for where, _, names in os.walk(folder, topdown=False):
    for name in names:
      os.chmod(os.path.join(where, name), stat.S_IRUSR)
    os.chmod(where, stat.S_IRUSR | stat.S_IXUSR)


def _writable(folder):
  """So that it can be deleted again."""
  for where, _, _ in os.walk(folder):
    os.chmod(where, stat.S_IRWXU)


def _named(ops) -> str:
  return f" ({', '.join(ops)})" if ops else ""
