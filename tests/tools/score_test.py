"""The command, on an export of a model that nobody trained."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from official_style.serving import savedmodel_export
from official_style.serving.local_server import local_server
from tests.reference import tiny_finished_run
from tests.reference import tiny_runs
from tests.reference import tiny_scoring

_SMALL = ("--rows_per_part=10", "--batch_tokens=64")


@pytest.fixture(scope="module")
def export(tmp_path_factory):
  """The folder of a model with one version."""
  folder = tmp_path_factory.mktemp("scored") / "pyramid"
  savedmodel_export.export(
      tiny_finished_run.classifier(), savedmodel_export.ExportOptions(
          str(folder), is_pair=False, buckets=(8,)))
  return folder


def _texts(path, count):
  texts = [f"{text} {i}" for i, text in enumerate(tiny_scoring.texts(count))]
  path.write_text("".join(f"{text}\n" for text in texts))
  return texts


def _command(path, export, output, *more):
  return [sys.executable, os.path.join(tiny_runs.ROOT, "tools", "score.py"),
          f"--input={path}", f"--model={export}", f"--output_dir={output}",
          *_SMALL, *more]


def _run(*arguments):
  done = subprocess.run(_command(*arguments), text=True, capture_output=True)
  assert not done.returncode, done.stderr
  return done.stderr


def test_predictions_are_those_of_the_saved_model(export, tmp_path, capsys):
  texts = _texts(tmp_path / "texts.txt", 25) + [""]
  with open(tmp_path / "texts.txt", "a") as f:
    f.write("\n")
  assert tiny_runs.run_absl_tool("score", *_command(
      tmp_path / "texts.txt", export, tmp_path / "out")[2:]) == 0
  said = capsys.readouterr().err
  assert "26 rows: 25 scored, 1 bad (" in said
  assert re.search(r"26 rows in [\d.]+ s, [\d.]+ rows/s", said)
  assert "3 parts and manifest.json" in said
  rows = [line.split("\t") for part in sorted((tmp_path / "out").glob(
      "part-*")) for line in part.read_text().splitlines()[1:]]
  model = tf.saved_model.load(str(export / "1"))
  wanted = model.signatures["serving_default"](text=tf.constant(texts[:-1]))
  assert [row[2].encode() for row in rows] == wanted["label"].numpy().tolist()
  np.testing.assert_allclose(
      [list(map(float, row[3:])) for row in rows],
      wanted["probabilities"].numpy(), atol=1.1e-5)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_servers_give_the_bytes_of_one_process(
    export, tmp_path, transport, capsys):
  if transport == "grpc":
    pytest.importorskip("tensorflow_serving")
  _texts(tmp_path / "texts.txt", 25)

  def score(output, *more):
    assert tiny_runs.run_absl_tool("score", *_command(
        tmp_path / "texts.txt", export, tmp_path / output, *more)[2:]) == 0
    return {name: content for name, content in tiny_scoring.contents(
        tmp_path / output).items() if name.startswith("part-")}

  with local_server.LocalServer(local_server.ServerOptions(
      str(export), "pyramid", rest_port=0, warm_up=False,
      grpc_port=0 if transport == "grpc" else None)) as one:
    port = one.grpc_port if transport == "grpc" else one.rest_port
    found = score("asked", f"--server=127.0.0.1:{port}",
                  f"--transport={transport}")
  assert len(found) == 3 and found == score("alone")
  # The server is gone: one line, and what is done stays.
  assert tiny_runs.run_absl_tool("score", *_command(
      tmp_path / "texts.txt", export, tmp_path / "none",
      f"--server=127.0.0.1:{port}", f"--transport={transport}",
      "--deadline_s=1")[2:]) == 2
  assert f"127.0.0.1:{port}" in capsys.readouterr().err.splitlines()[-1]


def test_mistakes_are_one_line(export, tmp_path, capsys):
  _texts(tmp_path / "texts.txt", 3)
  for change, said in (
      (dict(path=tmp_path / "none.txt"), "no such file"),
      (dict(export=tmp_path), "no export"),
      (dict(more=("--text_columns=a,b",)), "one text a line"),
      (dict(more=("--signature=serving_default",)), "it has ids"),
      (dict(more=("--decimals=12",)), "1 to 9")):
    asked = dict(path=tmp_path / "texts.txt", export=export, more=()) | change
    assert tiny_runs.run_absl_tool("score", *_command(
        asked["path"], asked["export"], tmp_path / "out", *asked["more"])[
            2:]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
  assert not (tmp_path / "out").exists()


def test_answers_beside_the_texts_are_no_texts(tmp_path, capsys, monkeypatch):
  tiny_scoring.use(monkeypatch, tiny_scoring.Model())
  export, texts = tiny_scoring.export(tmp_path / "1"), tmp_path / "texts"
  texts.mkdir()
  _texts(texts / "a.txt", 25)
  for said in ("25 rows: 25 scored", "goes on, 15 of 25 rows"):
    assert tiny_runs.run_absl_tool("score", *_command(
        texts, export, texts / "scores")[2:]) == 0
    assert said in capsys.readouterr().err
    (texts / "scores" / "part-00001.tsv").unlink()


def test_help_is_quick_and_complete():
  start = time.monotonic()
  done = subprocess.run(
      [sys.executable, "-X", "importtime",
       os.path.join(tiny_runs.ROOT, "tools", "score.py"), "--help"],
      text=True, capture_output=True)
  assert time.monotonic() - start < 10  # On a machine that does much else.
  assert "tensorflow" not in done.stderr
  assert "--rows_per_part" in done.stdout and "bad_rows.tsv" in done.stdout


@pytest.mark.slow
def test_processes_of_any_number_of_workers_write_the_same_bytes(
    export, tmp_path):
  """One, two and three; and one that is killed and started again."""
  _texts(tmp_path / "texts.txt", 400)
  for workers in (1, 2, 3):
    _run(tmp_path / "texts.txt", export, tmp_path / f"out{workers}",
         f"--num_workers={workers}")
  process = subprocess.Popen(_command(
      tmp_path / "texts.txt", export, tmp_path / "killed"),
      stderr=subprocess.DEVNULL)
  while not list(tmp_path.glob("killed/done/part-*.json")):
    assert process.poll() is None
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert not (tmp_path / "killed" / "manifest.json").exists()
  _run(tmp_path / "texts.txt", export, tmp_path / "killed")
  wanted = tiny_scoring.contents(tmp_path / "out1")
  for name in ("out2", "out3", "killed"):
    assert tiny_scoring.contents(tmp_path / name) == wanted, name


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(export, tmp_path):
  """The most of ten times as many rows is at most 60 MB more."""
  peaks = []
  for count in (5_000, 50_000):
    path = tmp_path / f"{count}.txt"
    _texts(path, count)
    process = subprocess.Popen(_command(
        path, export, tmp_path / f"out{count}", "--rows_per_part=1000",
        "--batch_tokens=4096", "--num_workers=2"), stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    assert status == 0
    peaks.append(usage.ru_maxrss / 1024)
  print(f"at most {peaks[0]:.0f} and {peaks[1]:.0f} MB")
  assert peaks[1] < peaks[0] + 60


def _spark_workers(pid) -> list[int]:
  """Python workers of the Spark that a process started."""
  parents = {}
  for name in os.listdir("/proc"):
    if name.isdigit():
      try:
        with open(f"/proc/{name}/stat", encoding="utf-8") as f:
          parents[int(name)] = int(f.read().rpartition(")")[2].split()[1])
      except OSError:
        pass
  def depth(child):
    steps = 0
    while child in parents and child != pid:
      child, steps = parents[child], steps + 1
    return steps if child == pid else -1
  found = []
  for child in parents:
    try:
      with open(f"/proc/{child}/cmdline", "rb") as f:
        is_daemon = b"pyspark.daemon" in f.read()
      with open(f"/proc/{parents[child]}/cmdline", "rb") as f:
        is_daemon = is_daemon and b"pyspark.daemon" in f.read()
    except OSError:
      continue
    if is_daemon and depth(child) > 0:
      found.append(child)
  return found


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("java"), reason="Spark needs a Java")
@pytest.mark.parametrize("is_killed", [False, True])
def test_spark_writes_the_same_bytes(is_killed, export, tmp_path):
  pytest.importorskip("pyspark")
  _texts(tmp_path / "texts.txt", 1500)
  _run(tmp_path / "texts.txt", export, tmp_path / "local")
  with open(tmp_path / "said", "w") as said:
    process = subprocess.Popen(_command(
        tmp_path / "texts.txt", export, tmp_path / "out", "--runner=spark",
        "--num_workers=2"), stderr=said, stdout=said)
  killed = None
  while process.poll() is None:
    done = len(list(tmp_path.glob("out/done/part-*.json")))
    if is_killed and killed is None and 5 < done < 100:
      killed = _spark_workers(process.pid)[0]
      os.kill(killed, signal.SIGKILL)
    time.sleep(0.01)
  said = (tmp_path / "said").read_text()
  assert process.returncode == 0, said
  assert (killed is not None) == is_killed
  assert is_killed == ("crashed" in said or "Lost task" in said), said
  wanted = tiny_scoring.contents(tmp_path / "local")
  assert tiny_scoring.contents(tmp_path / "out") == wanted
  assert json.loads(wanted["manifest.json"])["counts"]["parts"] == 150


@pytest.mark.slow
def test_beam_writes_the_same_bytes(export, tmp_path):
  pytest.importorskip("apache_beam")
  _texts(tmp_path / "texts.txt", 300)
  _run(tmp_path / "texts.txt", export, tmp_path / "local")
  _run(tmp_path / "texts.txt", export, tmp_path / "out", "--runner=beam")
  assert tiny_scoring.contents(tmp_path / "out") == tiny_scoring.contents(
      tmp_path / "local")
