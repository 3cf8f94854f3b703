"""A whole extraction of two candidates, seconds long."""

import csv
import json
import os
import shlex

import pytest

from official_style.errors import UserError
from official_style.search import latency_measuring
from official_style.search.extraction import architecture_space
from official_style.search.extraction import extraction_files
from official_style.search.extraction import extraction_job
from official_style.search.extraction import extraction_options
from official_style.search.extraction import reference_model
from official_style.search.extraction import reference_states
from official_style.search.extraction import short_training
from official_style.search.extraction import training_pool
from official_style.search.extraction.architecture import Architecture
from tests.reference import resolving
from tests.reference import tiny_runs

SPACE = architecture_space.ArchitectureSpace((1,), (2,), (8, 16), (8,))


def _options(folder, **changes):
  return extraction_options.ExtractionOptions(**(dict(
      output=str(folder), space=SPACE, reference=Architecture(2, 2, 16, 16),
      reference_steps=2, train_data=tiny_runs.corpus(str(folder.parent)),
      vocab_size=128, seq_length=16, batch_size=4, steps=3, seeds=2,
      warmup_steps=2, eval_batches=2, inference="macs") | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("extraction") / "out"
  said = extraction_job.run(_options(folder))
  assert "What to run next" in said
  (folder.parent / "said.txt").write_text(said)
  return folder


def _rows(folder):
  with open(folder / "candidates.csv", encoding="utf-8") as f:
    return list(csv.DictReader(f))


def test_every_candidate_and_the_maximum_point_have_a_row(folder):
  rows = _rows(folder)
  assert [row["name"] for row in rows] == ["1-2-8-8", "1-2-16-8", "2-2-16-16"]
  assert [row["place"] for row in rows] == ["0", "1", "maximum"]
  assert all(float(row["cross_entropy"]) > 0 for row in rows[:2])
  assert rows[2]["macs_w"] == ""
  columns = list(rows[0])
  timed = [name for name in columns if extraction_files.is_timed(name)]
  assert columns[-len(timed):] == timed


def test_the_largest_w_is_found_and_told(folder):
  results = json.loads((folder / "results.json").read_text())
  ws = {row["name"]: float(row["macs_w"]) for row in _rows(folder)[:2]}
  assert results["found"] == max(ws, key=ws.get)
  assert results["regrets"][0]["stride"] == 1
  assert results["cpu_seconds"]["total"] > 0


def test_parameters_of_the_table_are_those_of_the_model_that_was_trained(
    folder):
  reference = reference_model.ReferenceModel.open(str(folder / "reference"))
  row = _rows(folder)[0]
  training = short_training.ShortTraining(
      Architecture.parse(row["name"]), reference.run.config, reference.head,
      16, 2)
  assert training.parameters == int(row["parameters"])


def test_what_is_found_is_what_the_gin_file_configures(folder):
  gin = str(folder / "found.gin")
  found = Architecture.parse(
      json.loads((folder / "results.json").read_text())["found"])
  encoder = resolving.resolved(
      "--experiment=bert", f"--gin_file={gin}").config.task.model.encoder.get()
  assert encoder.num_layers == found.num_layers
  assert encoder.hidden_size == found.hidden_size
  assert encoder.intermediate_size == found.inner_dim
  assert encoder.num_attention_heads == found.num_attention_heads


def test_what_to_run_next_has_the_text_and_the_words_of_the_search(folder):
  said = (folder.parent / "said.txt").read_text().splitlines()[-1]
  program, *flags = shlex.split(said)[1:]
  task = resolving.resolved(*flags).config.task
  assert program == "train.py"
  assert task.train_data.input_path == str(folder.parent / "corpus.txt")
  assert task.train_data.seq_length == 16
  assert task.vocab_file == str(folder / "reference" / "data" / "vocab.txt")
  assert task.model.encoder.get().num_layers == 1


@pytest.mark.slow
def test_what_is_found_trains(folder, tmp_path):
  gin = str(folder / "found.gin")
  assert tiny_runs.run_here(tiny_runs.arguments(
      "bert", str(tmp_path / "run"), tiny_runs.corpus(str(tmp_path)),
      [f"--gin_file={gin}"], {}, dict(
          TRAIN_STEPS=2, INTERVAL=2, SEQ_LENGTH=16, BATCH_SIZE=4,
          TRAINED_VOCAB_SIZE=128, VALIDATION_STEPS=1))) == 0
  assert tiny_runs.metrics(str(tmp_path / "run"), "train")


@pytest.mark.slow
def test_a_training_that_was_lost_comes_out_the_same(folder):
  """And no other is done again."""
  table = (folder / "candidates.csv").read_bytes()
  log = folder / "trainings.jsonl"
  lines = log.read_bytes().splitlines(keepends=True)
  # The log of a process that was killed while it wrote the third training.
  log.write_bytes(b"".join(lines[:3]) + lines[3][:40])
  extraction_job.run(_options(folder))
  again = log.read_bytes().splitlines(keepends=True)
  assert again[:3] == lines[:3]
  errors = [[json.loads(line)["result"]["errors"] for line in sorted(part[1:])]
            for part in (lines, again)]
  assert errors[0] == errors[1]
  assert _untimed((folder / "candidates.csv").read_bytes()) == _untimed(table)


def _untimed(table: bytes) -> list:
  rows = list(csv.DictReader(table.decode().splitlines()))
  return [{name: value for name, value in row.items()
           if not extraction_files.is_timed(name)} for row in rows]


def test_a_training_that_looked_elsewhere_is_done_again():
  """As one of another run's length, of a run that was long for it."""
  one = Architecture(1, 2, 8, 8)
  job = object.__new__(extraction_job._Extraction)
  job._trainings = {
      (one.name, 1e-3, seed, 400): dict(errors=dict.fromkeys(steps))
      for seed, steps in ((0, ("100", "200", "400")),
                          (1, ("50", "100", "200", "400")))}
  work = job._work(one, [1e-3], [0, 1, 2], (50, 200, 400))
  assert work.runs == ((1e-3, 0), (1e-3, 2))
  assert work.looks == (50, 100, 200, 400)


def test_what_json_has_no_word_for_is_null():
  said = extraction_files.json_text(dict(a=[float("nan"), 1.5], b=float("inf")))
  assert json.loads(said) == dict(a=[None, 1.5], b=None)


@pytest.mark.slow
def test_long_trainings_begin_as_the_short_ones(folder):
  extraction_job.run(_options(folder, long_candidates=2, long_factor=2))
  results = json.loads((folder / "results.json").read_text())
  assert results["long"]["repeats_exactly"] and results["long"]["steps"] == 6


def test_weights_are_clipped(folder):
  reference = reference_model.ReferenceModel.open(str(folder / "reference"))
  training = short_training.ShortTraining(
      Architecture(1, 2, 8, 8), reference.run.config, reference.head, 16, 1,
      clip_weights=0.01)
  spec = training_pool.PoolSpec(
      str(folder / "reference"), (str(folder / "states"), json.loads(
          (folder / "states" / "fingerprint.json").read_text())), 1, 1, 0.01)
  trainer = training_pool._Trainer(spec)
  training.run(1e-2, 0, (1,), lambda step: trainer._batch("train", step),
               trainer._evaluation)
  for variable in training._model.trainable_variables:
    largest = abs(variable.numpy()).max()
    if variable.shape.rank > 1 and "bias" not in variable.name:
      assert largest <= 0.01 + 1e-9, variable.name
    elif "gamma" in variable.name:
      assert largest > 0.9  # Scales are no weights of a matrix.


def test_another_setting_is_refused_and_nothing_is_lost(folder):
  before = (folder / "trainings.jsonl").read_bytes()
  with pytest.raises(UserError, match="warmup_steps was 2 and is 1"):
    extraction_job.run(_options(folder, warmup_steps=1))
  assert (folder / "trainings.jsonl").read_bytes() == before


def test_a_maximum_point_that_is_none_is_refused(folder):
  with pytest.raises(UserError, match="fewer parameters than the candidate"):
    extraction_job.run(_options(
        folder, space=SPACE.replace(dict(hidden_size=[8, 32]))))


@pytest.mark.parametrize("changes, said", [
    (dict(steps=0), "--steps=0"), (dict(eps=3), "--eps=3: from 1 to the 2"),
    (dict(reference=Architecture(1, 2, 16, 4)),
     "--reference=1-2-16-4: is smaller than the candidate 1-2-16-8"),
    (dict(long_candidates=1), "--long_candidates=1"),
    (dict(timing=latency_measuring.Timing(0, 1)), "--rounds=0"),
    (dict(long_candidates=2, long_factor=1), "--long_factor=1"),
    (dict(learning_rates=(0.1, 0.1)), "--learning_rates"),
    (dict(lengths=()), "--lengths"), (dict(clip_weights=-1), "--clip_weights"),
    (dict(clip_weights=float("nan")), "--clip_weights=nan"),
    (dict(learning_rates=(float("nan"), 1e-3)), "--learning_rates=nan,0.001"),
    (dict(reference_learning_rate=float("nan")), "--reference_learning_rate"),
])
def test_settings_that_make_no_sense_are_refused_at_once(
    tmp_path, changes, said):
  with pytest.raises(UserError, match=said):
    extraction_job.run(_options(tmp_path / "out", **changes))
  assert not os.path.exists(tmp_path / "out")


@pytest.mark.parametrize("output, said", [
    ("", "--output=: give a folder"),
    ("/proc/x", "--output=/proc/x: can't be used")])
def test_a_folder_that_cannot_be_is_told(tmp_path, output, said):
  with pytest.raises(UserError, match=said):
    extraction_job.run(_options(tmp_path / "out", output=output))


@pytest.mark.parametrize("name", ["results.json", "states/alabama.csv"])
def test_files_of_others_stay(tmp_path, name):
  path = tmp_path / "out" / name
  path.parent.mkdir(parents=True)
  path.write_text("mine")
  first = name.partition("/")[0]
  with pytest.raises(UserError, match=f"out/{first}: is of no extraction"):
    extraction_job.run(_options(tmp_path / "out"))
  assert path.read_text() == "mine"
  assert len(list((tmp_path / "out").rglob("*"))) == 1 + name.count("/")


def test_states_are_those_of_the_maximum_point(folder):
  reference = reference_model.ReferenceModel.open(str(folder / "reference"))
  states = reference_states.ReferenceStates(str(folder / "states"), json.loads(
      (folder / "states" / "fingerprint.json").read_text()))
  batch = reference_model.tensors(reference.data.train.batch(2))
  outputs = reference.run.model(batch, training=False)
  kept = states.states("train", 2).astype("float32")
  assert abs(kept - outputs["sequence_output"].numpy()).max() < 2e-3
  logits = reference.head(outputs["sequence_output"]).numpy()
  assert abs(logits - outputs["mlm_logits"].numpy()).max() < 1e-5


def test_a_larger_eps_in_the_same_folder_finds_in_its_own_stride(folder):
  """Though the other candidate was trained before, and stays known."""
  known = (folder / "trainings.jsonl").read_bytes()
  extraction_job.run(_options(folder, eps=2))
  results = json.loads((folder / "results.json").read_text())
  assert (results["eps"], results["trained"]) == (2, 1)
  assert results["found"] == "1-2-8-8" and results["regrets"] == []
  rows = _rows(folder)
  assert rows[0]["cross_entropy"] and not rows[1]["cross_entropy"]
  # Of what other candidates took nothing is counted.
  seconds = [sum(json.loads(line)["result"]["cpu_seconds"]
                 for line in known.splitlines()[1:] if name in str(line))
             for name in ("1-2-8-8", "1-2-16-8")]
  assert results["cpu_seconds"]["trainings"] == pytest.approx(seconds[0])
  assert (folder / "trainings.jsonl").read_bytes() == known and seconds[1] > 0
