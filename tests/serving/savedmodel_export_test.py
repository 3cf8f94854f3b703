"""A version is whole or not there, and says what it is."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import tensorflow as tf

from official_style import files
from official_style.errors import UserError
from official_style.serving import export_manifest
from official_style.serving import file_verification
from official_style.serving import litert_export
from official_style.serving import savedmodel_export
from official_style.serving import stranger_process
from official_style.serving import verification
from official_style.serving import verification_cases
from official_style.serving import warm_up
from tests.reference import tiny_finished_run as tiny
from tests.reference import tiny_runs


def _options(folder, **more):
  return savedmodel_export.ExportOptions(
      str(folder), **(dict(is_pair=False, buckets=(8,)) | more))


def _rows(run):
  return verification_cases.rows_of(run, None, 64, False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """An export of a pyramid, and its run."""
  folder = tmp_path_factory.mktemp("export") / "pyramid"
  run = tiny.classifier()
  return savedmodel_export.export(run, _options(folder)), run


def test_the_first_version_is_1_and_holds_all_there_is(made):
  folder, run = made
  assert os.path.basename(folder) == "1"
  assert os.listdir(os.path.dirname(folder)) == ["1"]
  assert {"saved_model.pb", "variables", "assets", "assets.extra",
          "manifest.json", "batching_parameters.txt"} <= set(os.listdir(folder))
  facts = export_manifest.check(folder)
  assert facts["seq_length"] == 16 and facts["buckets"] == [8, 16]
  assert facts["labels"]["names"] == ["bad", "good"]
  assert facts["source"] == dict(
      run="runs/tiny", step=7, is_best=True, untrained_schedule=None)
  assert facts["token_schedules"]["own"] == [9, 6, 4]
  assert facts["vocabulary"]["sha256"] == run.vocabulary.sha256
  assert facts["signatures"]["serving_default"]["inputs"] == dict(
      text=dict(dtype="string", shape=[None]))
  assert set(facts["signatures"]) == {
      "serving_default", "ids", "kept_positions"}


@pytest.mark.slow
def test_attention_to_random_blocks_has_buckets_too(tmp_path):
  run = tiny.classifier(
      lengths=None, attention="block_sparse", attention_block_size=2,
      attention_random_blocks=1)
  folder = savedmodel_export.export(run, _options(tmp_path))
  assert export_manifest.check(folder)["buckets"] == [8, 16]
  answer = tf.saved_model.load(folder).signatures["ids"]
  row = tf.constant([[2, 7, 8, 9, 7, 3, 0, 0]])
  said = [answer(**{name: tf.pad(x, [[0, 0], [0, more]]) for name, x in dict(
      input_word_ids=row, input_mask=tf.sign(row),
      input_type_ids=0 * row).items()})["logits"] for more in (0, 8)]
  np.testing.assert_allclose(*said, atol=1e-5)


def test_nothing_in_the_graph_points_out_of_the_folder(made):
  with open(os.path.join(made[0], "saved_model.pb"), "rb") as f:
    content = f.read()
  for word in (*(place.encode() for place in (
      tempfile.gettempdir(), os.path.expanduser("~/"),
      tiny_runs.ROOT)),
               b"vocab.txt", b"_tf_keras", b".py"):
    assert word not in content, word
  assert not os.path.exists(os.path.join(made[0], "keras_metadata.pb"))


def test_only_what_signatures_read_is_saved(made):
  folder, run = made
  reader = tf.train.load_checkpoint(os.path.join(folder, "variables/variables"))
  kinds = reader.get_variable_to_dtype_map()
  weights = [name for name in kinds if name.startswith("weights/")]
  assert 0 < len(weights) <= len(run.model.variables)
  assert all(kinds[name] == tf.float32 for name in weights)


def _copied(made, tmp_path):
  return shutil.copytree(made[0], tmp_path / "1")


@pytest.mark.parametrize("name", [
    "saved_model.pb", "variables/variables.data-00000-of-00001",
    "assets.extra/vocab.txt"])
def test_a_flipped_bit_is_detected(made, tmp_path, name):
  folder = _copied(made, tmp_path)
  content = bytearray((folder / name).read_bytes())
  content[len(content) // 2] ^= 1
  (folder / name).write_bytes(content)
  with pytest.raises(UserError, match=f"{re.escape(name)}: not the file"):
    export_manifest.check(str(folder))


def test_a_missing_or_unknown_file_is_detected(made, tmp_path):
  folder = _copied(made, tmp_path)
  (folder / "more").write_text("")
  with pytest.raises(UserError, match="lists no such file"):
    export_manifest.check(str(folder))
  (folder / "more").unlink()
  (folder / "saved_model.pb").unlink()
  with pytest.raises(UserError, match="missing"):
    export_manifest.check(str(folder))
  with pytest.raises(UserError, match="give the folder of a version"):
    export_manifest.check(str(tmp_path))


def test_versions_count_up_and_are_never_changed(made):
  folder, run = made
  output = os.path.dirname(folder)
  with pytest.raises(UserError, match="is there already"):
    savedmodel_export.export(run, _options(output, version=1))
  with pytest.raises(UserError, match="0 or more"):
    savedmodel_export.export(run, _options(output, version=-1))
  os.makedirs(os.path.join(output, "41"))
  os.makedirs(os.path.join(output, "99.old"))
  assert savedmodel_export._next_version(output) == 42
  os.rmdir(os.path.join(output, "41"))
  os.rmdir(os.path.join(output, "99.old"))


def test_leftovers_of_processes_that_are_gone_go(tmp_path, monkeypatch):
  monkeypatch.setattr(files, "_is_running", lambda pid: pid == 2)
  for name in ("unfinished.tmp-1", "unfinished.tmp-2", "unfinished.tmp-x"):
    (tmp_path / name).mkdir()
  files.remove_leftovers(str(tmp_path / savedmodel_export._UNFINISHED))
  assert sorted(os.listdir(tmp_path)) == ["unfinished.tmp-2",
                                          "unfinished.tmp-x"]


def test_a_version_has_its_number_only_after_it_has_passed(
    tmp_path, monkeypatch):
  monkeypatch.setattr(tf.saved_model, "save",
                      lambda model, folder, **_: os.makedirs(folder))
  run, seen = tiny.classifier(lengths=None), []
  for said in (False, UserError("does not load"), KeyboardInterrupt(), True):
    def passes(folder, said=said):
      export_manifest.check(folder)
      seen.append(export_manifest.versions(str(tmp_path)))
      if isinstance(said, bool):
        return said
      raise said
    try:
      folder = savedmodel_export.export(
          run, _options(tmp_path, buckets=()), passes=passes)
      assert os.path.basename(folder) == ("1" if said else "not_verified-1")
    except UserError as error:
      assert str(error) == f"{tmp_path / 'not_verified-1'}: does not load"
    except KeyboardInterrupt:
      pass
    assert export_manifest.versions(str(tmp_path)) == [1] * (said is True)
  assert seen == [[]] * 4
  assert sorted(os.listdir(tmp_path)) == ["1", "not_verified-1"]


@pytest.mark.parametrize("error", [
    OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(
        None, None, "variables/a; No space left on device")])
def test_an_export_that_fails_leaves_nothing(error, tmp_path, monkeypatch):
  def full(*_):
    raise error
  monkeypatch.setattr(export_manifest, "write", full)
  with pytest.raises(UserError, match="No space left"):
    savedmodel_export.export(
        tiny.classifier(lengths=None), _options(tmp_path / "out", buckets=()))
  assert not os.listdir(tmp_path / "out")


@pytest.mark.slow
def test_a_killed_export_leaves_nothing_under_its_number(tmp_path):
  code = ("from tests.reference import tiny_finished_run as t\n"
          "from official_style.serving import savedmodel_export as s, "
          "export_manifest as m\n"
          "import time\n"
          "m.write = lambda *a: time.sleep(100)\n"
          f"s.export(t.classifier(), s.ExportOptions({str(tmp_path)!r}, "
          "is_pair=False))\n")
  process = subprocess.Popen([sys.executable, "-c", code], cwd=tiny_runs.ROOT)
  try:
    ended = time.time() + 200
    while not list(tmp_path.glob("*/batching_parameters.txt")):
      assert process.poll() is None and time.time() < ended
      time.sleep(0.2)
  finally:
    process.send_signal(signal.SIGKILL)
    process.wait()
  (left,) = os.listdir(tmp_path)
  assert not left.isdigit()
  assert savedmodel_export._next_version(str(tmp_path)) == 1


def test_warm_up_requests_reach_every_bucket(made):
  folder, run = made
  records = [r.numpy() for r in tf.data.TFRecordDataset(
      os.path.join(folder, warm_up.PATH))]
  assert len(records) == 4  # Two buckets, two sizes.
  for n in (8, 16, 128):
    ids = run.tokenizer.encode_batch([warm_up.text_of(run.tokenizer, n)])[0]
    assert len(ids) == n


def test_a_request_is_what_tensorflow_servings_own_messages_say():
  log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
  got = log.PredictionLog.FromString(warm_up.prediction_log(
      "serving_default", dict(text=tf.constant(["a" * 300, "b"]))))
  request = got.predict_log.request
  assert request.model_spec.signature_name == "serving_default"
  assert tf.make_ndarray(request.inputs["text"]).tolist() == [b"a" * 300, b"b"]
  assert got.WhichOneof("log_type") == "predict_log"


def test_it_is_verified_far_from_here(made, tmp_path, monkeypatch):
  monkeypatch.setattr(verification, "_LEAST_SECONDS", 0.0)
  folder, run = made
  ask, answers = stranger_process.ask, {}

  def ask_once(program, *request):
    if program not in answers:
      answers[program] = ask(program, *request)
    return answers[program]

  monkeypatch.setattr(stranger_process, "ask", ask_once)
  report = verification.verify(folder, run, _rows(run))
  assert report.passed, report.lines()
  assert report.facts["loaded"]["C API"]["problems"] == []
  assert report.facts["loaded"]["Python"]["rows"] > 40
  ops = report.facts["ops"]
  assert set(ops["text"].values()) <= {
      f"_{name}.so" for name in verification.LINKED_LIBRARIES}
  assert ops["text"] and not ops["not_linked"]
  with open(os.path.join(folder, "verify.json"), encoding="utf-8") as f:
    assert json.load(f)["passed"]
  export_manifest.check(folder)
  _assert_others_are_not_verified(folder)


def test_files_that_answer_otherwise_or_not_at_all_are_told(
    tmp_path, monkeypatch):
  run, other = (tiny.classifier(None, seed=seed) for seed in (0, 1))
  rows = verification_cases.rows_of(run, None, 4, False)
  os.makedirs(tmp_path / "1" / "litert")
  os.makedirs(tmp_path / "place")
  listed = []
  right, wrong = (litert_export.converted(made_from, tiny.LENGTH, "float32")
                  for made_from in (run, other))
  for name, content in (("right", right), ("other", wrong),
                        ("cut", right[:len(right) // 2])):
    path = tmp_path / "1" / "litert" / f"{name}.tflite"
    path.write_bytes(content)
    listed.append(dict(file=f"litert/{name}.tflite", tokens=tiny.LENGTH,
                       bytes=len(content)))

  def verified(litert):
    return file_verification.verified(
        str(tmp_path / "1"), str(tmp_path / "place"), run, rows,
        dict(litert=litert, is_pair=False), 1, 0.0)
  right, wrong = verified(listed[:2])
  assert not right["problems"] and right["largest_difference"] < 1e-5
  assert right["rows"] > 10 and right["milliseconds"]["1"] > 0
  assert "differs by" in wrong["problems"][0]
  assert "the same label on" in file_verification.line(right)
  (cut,) = verified(listed[2:])
  assert cut["problems"] and "\n" not in cut["problems"][0]


def test_a_path_of_what_it_was_made_from_is_not_let_out(
    made, tmp_path, monkeypatch):
  folder, run = made
  names = export_manifest.read(folder)["files"]
  with monkeypatch.context() as patch:
    # Of a volume; in the graph there is "Assert/data_0".
    patch.setattr(run.config.task.train_data, "input_path", "/data")
    assert not verification._naming_sources(folder, run, names)
  copy = shutil.copytree(folder, tmp_path / "1")
  (copy / "assets.extra" / "vocab.txt").write_text(
      f"see {os.path.abspath(run.path)}/data")
  assert verification._naming_sources(str(copy), run, names) == [
      "assets.extra/vocab.txt"]


@pytest.mark.slow
def test_bfloat16_is_verified_by_the_mean(tmp_path, monkeypatch):
  monkeypatch.setattr(verification, "_LEAST_SECONDS", 0.0)
  run = tiny.classifier()
  folder = savedmodel_export.export(
      run, _options(tmp_path / "out", precision="bfloat16"))
  report = verification.verify(folder, run, _rows(run))
  assert report.passed, report.lines()
  assert report.facts["precision"] == "bfloat16"
  found = report.facts["loaded"]["Python"]
  assert 1e-4 < found["measured"] < found["tolerance"]
  assert report.facts["ops"]["halves"]
  _assert_others_are_not_verified(folder)


def _assert_others_are_not_verified(folder):
  """Another checkpoint than it was made from, told by the same answers."""
  run = tiny.classifier(seed=1)
  report = verification.verify(folder, run, _rows(run))
  assert not report.passed
  assert any("differs by" in line for line in report.lines())
  assert report.lines()[-1] == "NOT verified"


def test_pairs_are_told_by_the_columns_or_asked_for():
  run = tiny.classifier(lengths=None)
  task = run.config.task
  for columns, wanted in (("a", False), ("a,b", True)):
    task.text_columns = columns
    assert savedmodel_export.is_pair_of(run, None) is wanted
  task.text_columns, task.task_name = "", "MRPC"
  assert savedmodel_export.is_pair_of(run, None) is True
  task.task_name = "COPA"
  assert savedmodel_export.is_pair_of(run, False) is False
