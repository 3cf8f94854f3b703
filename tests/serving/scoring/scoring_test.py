"""The same bytes whoever scores, and no row is lost."""

import csv
import gzip
import json
import os
import sys
import threading
import types

import numpy as np
import pytest

from official_style import files
from official_style.data import text_paths
from official_style.errors import UserError
from official_style.serving import export_manifest
from official_style.serving import scoring as scoring_package
from official_style.serving.scoring import input_file
from official_style.serving.scoring import input_lines
from official_style.serving.scoring import part_worker
from official_style.serving.scoring import scored_export
from official_style.serving.scoring import scoring_folder
from tests.reference import tiny_scoring as tiny


@pytest.fixture
def model(monkeypatch):
  return tiny.use(monkeypatch, tiny.Model())


@pytest.fixture
def export(tmp_path):
  return tiny.export(tmp_path / "exports" / "1")


@pytest.fixture
def rows(tmp_path):
  """A file of 35 texts, and what they are."""
  found = tiny.texts(35)
  path = tmp_path / "texts.txt"
  path.write_text("".join(f"{text}\n" for text in found), encoding="utf-8")
  return path, found


def _table(output, name="part-*.tsv"):
  """Fields of all rows of all parts, without the headers."""
  return [line.split("\t") for path in sorted(output.glob(name))
          for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def _bad(output):
  return [line.split("\t") for line in (output / "bad_rows.tsv").read_text(
      encoding="utf-8").splitlines()[1:]]


def test_every_row_gets_its_own_answer_in_order(
    model, export, rows, tmp_path):
  path, texts = rows
  counts = tiny.score([path], export, tmp_path / "out")
  assert counts == dict(rows=35, scored=35, bad_rows=0, parts=4, new_rows=35)
  found = _table(tmp_path / "out")
  assert [row[:2] for row in found] == [
      [str(path), str(n)] for n in range(1, 36)]
  reader = scored_export.ScoredExport(export)
  for text, (_, _, label, bad, good) in zip(texts, found):
    wanted = model(reader.inputs(reader.encode([(text,)])))
    assert label == wanted["label"][0].decode()
    np.testing.assert_allclose(
        [float(bad), float(good)], wanted["probabilities"][0], atol=6e-6)
  head = (tmp_path / "out" / "part-00000.tsv").read_text().split("\n")[0]
  assert head == "file\trow\tlabel\tprobability_bad\tprobability_good"
  assert [len((tmp_path / "out" / f"part-0000{i}.tsv").read_text().split(
      "\n")) - 2 for i in range(4)] == [10, 10, 10, 5]


def test_batches_are_of_one_bucket_and_bounded(model, export, rows, tmp_path):
  tiny.score([rows[0]], export, tmp_path / "out")
  assert {n for _, n in model.shapes} == set(tiny.BUCKETS)
  assert all(b * n <= 32 for b, n in model.shapes)
  model.shapes.clear()
  tiny.score([rows[0]], export, tmp_path / "one", batch_tokens=1)
  assert {b for b, _ in model.shapes} == {1}


def test_workers_and_the_order_of_files_change_no_byte(
    model, export, rows, tmp_path, monkeypatch):
  other = tmp_path / "a.jsonl.gz"
  with gzip.open(other, "wt") as f:
    f.writelines(json.dumps(dict(text=t)) + "\n" for t in tiny.texts(17, 3))
  outputs = []
  for spec, workers in ((f"{rows[0]},{other}", 1), (f"{other},{rows[0]}", 2),
                        (f"{tmp_path}/*.txt,{tmp_path}/*.gz", 5)):
    outputs.append(tmp_path / f"out{workers}")
    paths = text_paths.expand_paths(spec, extensions=input_file.EXTENSIONS)
    counts = tiny.score(paths, export, outputs[-1], num_workers=workers)
  assert counts["rows"] == 52
  assert len(tiny.contents(outputs[0])) == 6 + 7 + 2
  for output in outputs[1:]:
    assert tiny.contents(output) == tiny.contents(outputs[0])


def test_a_part_may_begin_in_one_file_and_end_in_another(
    model, export, tmp_path):
  for i in range(25):
    (tmp_path / f"{i:02}.txt").write_text(f"a good film {'a' * i}\n")
  paths = sorted(tmp_path.glob("*.txt"))
  assert tiny.score(paths, export, tmp_path / "out")["parts"] == 3
  assert [row[0] for row in _table(tmp_path / "out")] == list(map(str, paths))


def _fails_at(monkeypatch, call):
  """A model that fails at a call, as a process that is killed."""
  class Failing(tiny.Model):
    def __call__(self, inputs):
      if len(self.shapes) == call:
        raise KeyboardInterrupt
      return super().__call__(inputs)
  return tiny.use(monkeypatch, Failing())


@pytest.mark.parametrize("call", [0, 1, 4, 9])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_interrupted_goes_on_to_the_same_bytes(
    call, workers, export, rows, tmp_path, monkeypatch):
  model = tiny.use(monkeypatch, tiny.Model())
  tiny.score([rows[0]], export, tmp_path / "whole")
  in_all = len(model.shapes)
  _fails_at(monkeypatch, call)
  with pytest.raises(KeyboardInterrupt):
    tiny.score([rows[0]], export, tmp_path / "out", num_workers=workers)
  assert not (tmp_path / "out" / "manifest.json").exists()
  done = len(list((tmp_path / "out").glob("done/part-*.json")))
  (tmp_path / "out" / "part-00003.tsv.tmp-123").write_text("half of")
  model = tiny.use(monkeypatch, tiny.Model())
  counts = tiny.score([rows[0]], export, tmp_path / "out")
  assert counts["new_rows"] == 35 - 10 * done
  assert tiny.contents(tmp_path / "out") == tiny.contents(tmp_path / "whole")
  assert (len(model.shapes) < in_all) == (done > 0)


def test_a_finished_one_is_left_alone_and_mended_where_it_is_damaged(
    model, export, rows, tmp_path):
  out = tmp_path / "out"
  tiny.score([rows[0]], export, out)
  before = tiny.contents(out)
  model.shapes.clear()
  assert tiny.score([rows[0]], export, out)["new_rows"] == 0
  assert not model.shapes
  (out / "part-00001.tsv").write_text("changed")
  (out / "part-00003.tsv").unlink()
  assert tiny.score([rows[0]], export, out)["new_rows"] == 15
  assert tiny.contents(out) == before


def test_another_input_model_or_setting_is_refused_and_named(
    model, export, rows, tmp_path):
  path, out = rows[0], tmp_path / "out"
  tiny.score([path], export, out)
  before = tiny.contents(out)
  other = tiny.export(tmp_path / "exports" / "2", weight=b"2")
  (tmp_path / "more.txt").write_text("a\n")
  text = path.read_text()
  for paths, folder, more, said in (
      ([path], other, {}, "model has changed, sha256"),
      ([path], export, dict(signature="ids_2x"), "model has .*signature"),
      ([path], export, dict(rows_per_part=9), "--rows_per_part .*10 to 9"),
      ([path], export, dict(batch_tokens=64), "--batch_tokens"),
      ([path], export, dict(decimals=3), "format has changed, decimals"),
      ([path, tmp_path / "more.txt"], export, {}, "input .*more.txt is new")):
    with pytest.raises(UserError, match=said):
      tiny.score(paths, folder, out, **more)
  path.write_text("bad" + text[4:])
  with pytest.raises(UserError, match="input has changed.*texts.txt"):
    tiny.score([path], export, out)
  path.write_text(text)
  tiny.score([path], export, out)
  assert tiny.contents(out) == before


def test_every_bad_row_is_listed_with_its_reason(export, tmp_path, monkeypatch):
  monkeypatch.setattr(input_lines, "MAX_ROW_BYTES", 3000)
  tiny.use(monkeypatch, tiny.Model(refused=tiny.WORDS.index("z"),
                                   broken=tiny.WORDS.index("y")))
  (tmp_path / "a.txt").write_bytes(
      b"\xef\xbb\xbfgood\n\n  \nb\xff d\na z film\n\0\x01\n" + b"a" * 9000
      + b"\na good y film\nlast")
  (tmp_path / "b.tsv").write_bytes(
      b"id\ttext\r\n1\tgood film\r\n2\n3\ta\tb\n\n4\t\n5\t\"quoted\n")
  (tmp_path / "c.jsonl").write_text(
      '{"text": "good"}\n{"text": 1}\n[1]\n{"txt": "a"}\nno\n'
      + "[" * 2000 + '\n{"text": "\\ud800 a"}\n{"text": " "}\n')
  (tmp_path / "d.csv").write_bytes(
      b'text;n\n"good\nfilm; a";1\nbad\n"\xff";2\n\n' b'"not ""a""";3\n')
  paths = sorted(path for path in tmp_path.iterdir() if path.is_file())
  counts = tiny.score(paths, export, tmp_path / "out")
  bad = {(os.path.basename(path), int(row)): reason
         for path, row, reason in _bad(tmp_path / "out")}
  good = [(os.path.basename(row[0]), int(row[1]))
          for row in _table(tmp_path / "out")]
  empty, long = "empty text", "longer than 8,000,000 bytes"
  no_utf8 = "bytes that are not UTF-8"
  assert bad == {
      ("a.txt", 2): empty, ("a.txt", 3): empty, ("a.txt", 4): no_utf8,
      ("a.txt", 5): "refused: not this\\tword\\n",
      ("a.txt", 6): "no words in it", ("a.txt", 7): long,
      ("a.txt", 8): "the model's answer is not finite",
      ("b.tsv", 3): "too few columns: 1 for 2",
      ("b.tsv", 4): "too many columns: 3 for 2", ("b.tsv", 5): empty,
      ("b.tsv", 6): empty, ("c.jsonl", 2): "its 'text' is not a string",
      ("c.jsonl", 3): "not a JSON object", ("c.jsonl", 4): "no 'text' in it",
      ("c.jsonl", 5): "not JSON", ("c.jsonl", 6): "not JSON",
      ("c.jsonl", 8): empty, ("d.csv", 4): "too few columns: 1 for 2",
      ("d.csv", 5): no_utf8, ("d.csv", 6): empty}
  assert good == [("a.txt", 1), ("a.txt", 9), ("b.tsv", 2), ("b.tsv", 7),
                  ("c.jsonl", 1), ("c.jsonl", 7), ("d.csv", 2), ("d.csv", 7)]
  assert counts["rows"] == len(good) + len(bad) == 28
  assert counts["bad_rows"] == len(bad)
  with open(tmp_path / "out" / "manifest.json", encoding="utf-8") as f:
    assert json.load(f)["counts"]["bad_rows"] == len(bad)


def test_a_refused_row_takes_no_other_with_it(export, tmp_path, monkeypatch):
  tiny.use(monkeypatch, tiny.Model(refused=tiny.WORDS.index("z")))
  path = tmp_path / "texts.txt"
  path.write_text("a film\n" * 3 + "z\n" + "a film\n" * 3)
  tiny.score([path], export, tmp_path / "out")
  assert [row[1] for row in _table(tmp_path / "out")] == list("123567")
  assert [row[1:] for row in _bad(tmp_path / "out")] == [
      ["4", "refused: not this\\tword\\n"]]


@pytest.mark.parametrize("batch", [8, 1])
def test_a_model_that_refuses_all_rows_is_not_the_one(
    export, tmp_path, monkeypatch, batch):
  tiny.use(monkeypatch, tiny.Model(refused=tiny.WORDS.index("film")))
  path = tmp_path / "texts.txt"
  path.write_text("a film\n" * 3)
  with pytest.raises(UserError, match="none of 3 rows .* is --model what"):
    tiny.score([path], export, tmp_path / "out", max_batch_rows=batch)


def test_a_server_gets_all_rows_at_one_length(
    model, export, rows, tmp_path):
  """It joins requests, and can't those of different lengths."""
  tiny.score([rows[0]], export, tmp_path / "out", servers=("localhost:1",))
  assert {n for _, n in model.shapes} == {tiny.BUCKETS[-1]}
  tiny.score([rows[0]], export, tmp_path / "here")
  assert tiny.contents(tmp_path / "out")["part-00000.tsv"] == tiny.contents(
      tmp_path / "here")["part-00000.tsv"]


def test_a_worker_of_a_cluster_asks_servers_several_things_at_a_time(
    model, export, rows, tmp_path, monkeypatch):
  meeting, first_two = threading.Barrier(2, timeout=60), [None, None]

  class Waiting(tiny.Model):
    def __call__(self, inputs):
      try:
        first_two.pop()
      except IndexError:
        return super().__call__(inputs)
      meeting.wait()  # For the other call, which there has to be.
      return super().__call__(inputs)

  def run(job, parts, *_):
    worker = part_worker.PartWorker(job)
    for number in parts:
      worker.score(number)
  runner = types.SimpleNamespace(run=run)
  monkeypatch.setattr(scoring_package, "spark_runner", runner, raising=False)
  monkeypatch.setitem(sys.modules, f"{scoring_package.__name__}.spark_runner",
                      runner)
  options = dict(runner="spark", servers=("localhost:1",))
  tiny.score([rows[0]], export, tmp_path / "one", **options)
  tiny.use(monkeypatch, Waiting())
  tiny.score([rows[0]], export, tmp_path / "two", **options)
  assert tiny.contents(tmp_path / "one") == tiny.contents(tmp_path / "two")


def test_pairs_are_read_from_two_columns(tmp_path, monkeypatch):
  folder = tiny.export(tmp_path / "pairs", is_pair=True)
  model = tiny.use(monkeypatch, tiny.Model())
  with open(tmp_path / "pairs.csv", "w", newline="") as f:
    csv.writer(f).writerows([["p", "q"], ["good film", "bad, film"], ["a", ""]])
  path = tmp_path / "pairs.csv"
  tiny.score([path], folder, tmp_path / "out", text_columns="q,p")
  assert [row[:2] for row in _table(tmp_path / "out")] == [[str(path), "2"]]
  assert _bad(tmp_path / "out") == [
      [str(path), "3", "empty text in column 'q'"]]
  tiny.score([path], folder, tmp_path / "turned", text_columns="p,q")
  assert _table(tmp_path / "turned") != _table(tmp_path / "out")
  del model
  for columns, said in (("p", "reads pairs"), ("", "which column"),
                        ("p,x", "no column 'x'"), ("p,q,p", "one text or a")):
    with pytest.raises(UserError, match=said):
      tiny.score([path], folder, tmp_path / "none", text_columns=columns)
  assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content, columns, delimiter", [
    ('p,q\n"a; b; c",d\n', "p,q", ","), ("text\na; b\nc; d\n", "text", ","),
    ('p;"q, r"\n"a, b, c";d\n', "p", ";"),
    ("a; b; c,d\ne,f\ng,h\n", "0,1", ",")])
def test_columns_of_csv_are_separated_as_in_fine_tuning(
    tmp_path, content, columns, delimiter):
  path = tmp_path / "a.csv"
  path.write_text(content)
  file, lines = input_file.open_at_rows(str(path), columns)
  lines.close()
  assert file.delimiter == delimiter


@pytest.mark.parametrize("kind, form, more, line", [
    ("classes", "jsonl", {}, dict(label="good", probabilities=None)),
    ("number", None, {}, None), ("number", "jsonl", {}, dict(score=None)),
    ("vectors", None, {}, dict(mean=None)), ("vectors", "npy", {}, None)])
def test_every_form_says_the_same(
    kind, form, more, line, rows, tmp_path, monkeypatch):
  folder = tiny.export(tmp_path / kind, kind)
  model = tiny.use(monkeypatch, tiny.Model(kind))
  tiny.score([rows[0]], folder, tmp_path / "out", form=form, decimals=4)
  export = scored_export.ScoredExport(folder)
  outputs = [model(export.inputs(export.encode([(text,)])))
             for text in rows[1]]
  name = dict(classes="probabilities", number="score", vectors="mean")[kind]
  wanted = np.stack([np.atleast_1d(out[name][0]) for out in outputs])
  if form == "npy":
    found = np.concatenate([np.load(path) for path in sorted(
        (tmp_path / "out").glob("*.npy"))])
    assert found.dtype == np.float32
    assert [row[1] for row in _table(tmp_path / "out")] == [
        str(n) for n in range(1, 36)]
  elif line is None:
    found = np.array([[float(row[2])] for row in _table(tmp_path / "out")])
  else:
    records = [json.loads(text) for path in sorted(
        (tmp_path / "out").glob("part-*.jsonl"))
               for text in path.read_text().splitlines()]
    assert [set(record) for record in records] == 35 * [
        {"file", "row", *line}]
    found = np.stack([np.atleast_1d(
        list(r[name].values()) if kind == "classes" else r[name])
                      for r in records])
  np.testing.assert_allclose(found, wanted, atol=6e-5)
  assert not any("-0.0000," in path.read_text() for path in (
      tmp_path / "out").glob("*.jsonl"))


def test_mistakes_are_told_before_anything_is_written(
    model, export, rows, tmp_path, monkeypatch):
  monkeypatch.setattr(input_lines, "MAX_ROW_BYTES", 10_000)
  path, out = rows[0], tmp_path / "out"
  (tmp_path / "empty.txt").write_text("")
  (tmp_path / "utf16.txt").write_bytes("a\n".encode("utf-16"))
  (tmp_path / "open.csv").write_text('text,n\n"' + "a\n" * 6_000)
  (tmp_path / "no.jsonl").write_text("1\nx\n")
  with gzip.open(tmp_path / "cut.txt.gz", "wt") as f:
    f.writelines(f"{text}\n" for text in tiny.texts(4000))
  cut = (tmp_path / "cut.txt.gz").read_bytes()
  (tmp_path / "cut.txt.gz").write_bytes(cut[:-100])
  choice = tiny.export(tmp_path / "choice", "choice")
  vectors = tiny.export(tmp_path / "vectors", "vectors")
  changed = tiny.export(tmp_path / "changed")
  (tmp_path / "changed" / "saved_model.pb").write_bytes(b"other")
  for name, folder, more, said in (
      ("empty.txt", export, {}, "holds no rows"),
      ("utf16.txt", export, {}, "UTF-16"),
      ("open.csv", export, {}, "quotation mark"),
      ("no.jsonl", export, {}, "no JSON object"),
      ("cut.txt.gz", export, {}, "damaged after"),
      (path.name, choice, {}, "multiple choice"),
      (path.name, changed, {}, "not the file"),
      (path.name, export, dict(signature="text"), "it has ids, ids_2x"),
      (path.name, export, dict(form="npy"), "is for embeddings"),
      (path.name, export, dict(embedding="mean"), "is a classifier"),
      (path.name, vectors, dict(form="tsv"), "holds no vectors"),
      (path.name, vectors, dict(embedding="pooled"), "has cls, mean"),
      (path.name, export, dict(decimals=0), "1 to 9"),
      (path.name, export, dict(num_workers=0), "at least 1"),
      (path.name, export, dict(text_columns="a,b"), "one text a line")):
    with pytest.raises(UserError, match=said):
      tiny.score([tmp_path / name], folder, out, **more)
    assert not out.exists(), name
  with pytest.raises(UserError, match="no export"):
    export_manifest.newest(str(tmp_path), "--model")
  assert export_manifest.newest(str(tmp_path / "exports"), "") == export
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match="--output_dir: is empty"):
    tiny.score([path], export, "")
  assert not os.path.exists("done")
  out.mkdir()
  (out / "thesis.txt").write_text("mine")
  with pytest.raises(UserError, match="something else"):
    tiny.score([path], export, out)
  assert os.listdir(out) == ["thesis.txt"]


def test_two_processes_do_not_score_into_one_folder(
    model, export, rows, tmp_path):
  tiny.score([rows[0]], export, tmp_path / "out")
  lock = open(tmp_path / "out" / "done" / "lock", "a")
  assert files.lock(lock)
  with lock, pytest.raises(UserError, match="another process"):
    tiny.score([rows[0]], export, tmp_path / "out")


def test_no_more_calls_at_a_time_than_workers(export, rows, tmp_path,
                                              monkeypatch):
  class Counting(tiny.Model):
    now = most = 0
    lock, both = threading.Lock(), threading.Event()

    def __call__(self, inputs):
      with self.lock:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == 3:
          self.both.set()
      self.both.wait(1)
      with self.lock:
        self.now -= 1
      return super().__call__(inputs)
  model = tiny.use(monkeypatch, Counting())
  tiny.score([rows[0]], export, tmp_path / "out", num_workers=3)
  assert model.most == 3


def test_a_file_that_changes_meanwhile_is_told(export, rows, tmp_path,
                                               monkeypatch):
  class Cutting(tiny.Model):
    def __call__(self, inputs):
      rows[0].write_text("a\n")
      return super().__call__(inputs)
  tiny.use(monkeypatch, Cutting())
  with pytest.raises(UserError, match="has changed while"):
    tiny.score([rows[0]], export, tmp_path / "out")


def test_names_of_files_may_be_anything(model, export, tmp_path):
  name = os.fsdecode(b"a\tb\n\xff \"c\\.txt")
  try:
    (tmp_path / name).write_text("good\n\n")
  except OSError:
    pytest.skip("no such names here")
  for form in ("tsv", "jsonl"):
    out = tmp_path / f"out_{form}"
    tiny.score([tmp_path / name], export, out, form=form)
    assert len((out / "bad_rows.tsv").read_text().splitlines()) == 2
    json.loads((out / scoring_folder.MANIFEST).read_text())
  assert len(_table(tmp_path / "out_tsv")) == 1
  json.loads((tmp_path / "out_jsonl" / "part-00000.jsonl").read_text())
