"""The commands that serve and that load a server."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from official_style.serving import savedmodel_export
from tests.reference import tiny_finished_run as tiny
from tests.reference import tiny_runs


def _serve(*arguments):
  return tiny_runs.run_absl_tool("serve", *arguments)


def test_a_mistake_is_one_line(tmp_path, capsys):
  handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
  try:
    for path in (tmp_path, tmp_path / "none"):
      assert _serve(f"--model_base_path={path}", "--port=-1") == 2
  finally:
    signal.signal(signal.SIGTERM, handlers[0])
    signal.signal(signal.SIGINT, handlers[1])
  error = capsys.readouterr().err
  assert error.count("\n") == 2 and "holds no version" in error


def test_it_says_what_it_is_for():
  text = open(os.path.join(tiny_runs.ROOT, "tools", "serve.py"),
              encoding="utf-8").read()
  assert "For tests and laptops only" in text.split('"""')[1]


def test_answers_are_told_apart():
  tiny_runs.tool("benchmarking")  # Finds it.
  from benchmarking import serving_questions
  label = np.array([b"a", b"b"], object)
  logits = np.float32([[1], [2]])
  question = serving_questions.Question({}, dict(label=label, logits=logits))

  def judged(**changes):
    return question.is_answered_by(question.answers | changes)
  assert judged() == (True, True)
  assert judged(logits=logits + np.float32(2e-6)) == (True, False)
  assert judged(logits=logits + 1e-3) == (False, False)
  assert judged(logits=logits * np.nan) == (False, False)
  assert judged(label=label[::-1].copy()) == (False, False)
  assert judged(logits=logits[:1]) == (False, False)
  assert question.is_answered_by({}) == (False, False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  folder = tmp_path_factory.mktemp("to_serve") / "tiny"
  savedmodel_export.export(
      tiny.classifier(), savedmodel_export.ExportOptions(
          str(folder), is_pair=False, buckets=()))
  return str(folder)


@pytest.mark.slow
def test_the_command_it_prints_works_and_sigterm_ends_it(exported):
  pytest.importorskip("tensorflow_serving")
  process = subprocess.Popen(
      [sys.executable, "tools/serve.py", f"--model_base_path={exported}",
       "--port=0", "--rest_api_port=0"], cwd=tiny_runs.ROOT, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
  try:
    said = []
    for line in process.stdout:
      said.append(line)
      if line.lstrip().startswith("curl"):
        break
    text = "".join(said)
    assert "FOR TESTS AND LAPTOPS ONLY" in text
    assert re.search(r"gRPC  127\.0\.0\.1:\d+\n", text)
    assert "  serving_default: text string[?] -> label string[?]" in text
    if shutil.which("curl"):
      answer = subprocess.run(shlex.split(said[-1]), capture_output=True,
                              check=True, timeout=60).stdout
      assert set(json.loads(answer)["outputs"]) == {
          "label", "logits", "probabilities"}
    process.send_signal(signal.SIGTERM)
    rest, error = process.communicate(timeout=60)
    assert process.returncode == 0 and rest == "stopping\n"
    assert "Traceback" not in error
  finally:
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_load_is_answered_right(exported, tmp_path, capsys):
  pytest.importorskip("tensorflow_serving")
  assert tiny_runs.run_absl_tool(
      "benchmark_serving", f"--model_base_path={exported}", "--clients=8",
      "--seconds=4", "--malformed=0.3", "--questions=8",
      f"--output={tmp_path / 'load.json'}") == 0
  assert capsys.readouterr().out.endswith("passed\n")
  facts = json.loads((tmp_path / "load.json").read_text("utf-8"))
  assert [row["transport"] for row in facts["results"]] == [
      "grpc", "rest", "both"]
  assert facts["results"][2]["malformed"] > 10
  assert facts["server"]["exit_code"] == 0
