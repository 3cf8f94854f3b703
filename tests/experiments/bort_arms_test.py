"""Arms of Bort's experiments differ in what they are about, and in no more.

Every job's arguments go through the flags and Gin files as when it runs, and
what they come to is compared. Nothing is trained.
"""

import collections
import dataclasses
import importlib.util
import itertools
import pathlib

import pytest

from official_style.configs import resolve
from tests.reference import huggingface_bert
from tests.reference import resolving
from tests.reference import tiny_runs

BORT = pathlib.Path(__file__).resolve().parents[2] / "experiments" / "bort"

agora_tool = tiny_runs.tool("agora")


def _script(name):
  spec = importlib.util.spec_from_file_location(
      f"bort_{name}", BORT / f"{name}.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture(scope="module", name="places")
def _places(tmp_path_factory):
  """Makes the places of a script; all weights to start from are alike."""
  folder = tmp_path_factory.mktemp("places")
  weights, _ = huggingface_bert.write(folder / "weights", dict(
      max_position_embeddings=128, hidden_size=48, num_attention_heads=12,
      num_hidden_layers=6))
  (folder / "corpus").write_text(tiny_runs.text())

  def make(script):
    runs = folder / script.__name__
    for job in script.jobs():
      path = runs / job.name
      path.parent.mkdir(parents=True, exist_ok=True)
      if not path.is_symlink() and job.name in {
          getattr(one, "after", "") for one in script.jobs()}:
        path.symlink_to(weights)
    (runs / "vocab.txt").write_text("".join(
        f"{word}\n" for word in huggingface_bert.VOCAB))
    values = dict(corpus=str(folder / "corpus"), glue=str(folder / "glue"),
                  imdb=str(folder / "imdb"), teacher=weights, encoder=weights,
                  runs=runs)
    return script.Places(**{
        field.name: values[field.name]
        for field in dataclasses.fields(script.Places)})

  return make


def _resolved(job, places) -> dict:
  """What a job comes to, by dotted key, what Agora is asked for included."""
  arguments, asked = job.arguments(places), {}
  if getattr(job, "program", "train.py") != "train.py":
    options, rest = agora_tool.options_of(arguments)
    asked = {f"agora.{name}": value
             for name, value in options.settings().items()} | {
                 "agora.budget": options.budget}
    arguments = rest.argv[1:]
  return resolve.flatten(resolving.resolved(*arguments).config) | asked


def _first(script, places) -> dict:
  """Task (or nothing) -> arm -> what the job of the first seed comes to."""
  found = collections.defaultdict(dict)
  for job in script.jobs():
    if job.arm in script.ARMS and job.seed == script.SEEDS[0]:
      found[getattr(job, "task", "")][job.arm] = _resolved(job, places)
  for arms in found.values():
    assert list(arms) == list(script.ARMS)
  return found


def _differing(one, other) -> set:
  return {key for key in one.keys() | other.keys()
          if one.get(key) != other.get(key)}


def test_bort_with_token_dropping_drops_tokens_and_is_bort_otherwise(places):
  script = _script("token_dropping")
  arms = _first(script, places(script))[""]
  dense, dropping, finish = arms.values()
  keys = _differing(dense, dropping)
  assert "task.model.encoder.any.token_keep_k" in keys
  assert all(key.startswith("task.model.encoder.any.token_") for key in keys)
  assert _differing(dropping, finish) == {
      "task.keep_schedule.dense_finish_share"}


def test_a_setting_that_strays_into_one_arm_is_seen(places, monkeypatch):
  script = _script("token_dropping")
  arguments = script.Job.arguments
  monkeypatch.setattr(script.Job, "arguments", lambda job, where: (
      arguments(job, where) + ["--gin_params=WARMUP_STEPS = 9"] * (
          job.arm == script.DROPPING)))
  arms = _first(script, places(script))[""]
  assert any("warmup" in key for key in _differing(
      arms[script.DENSE], arms[script.DROPPING]))


def test_a_student_has_a_teacher_or_none_and_is_the_same_otherwise(places):
  script = _script("distillation")
  one, other = _first(script, places(script))[""].values()
  assert _differing(one, other) == {
      "task.distillation.teacher", "task.distillation.teacher_digest",
      "task.distillation.weight"}


def test_students_of_relations_differ_in_what_they_are_taught(places):
  script = _script("relations")
  found = _first(script, places(script))
  for one, other in itertools.combinations(found.pop("").values(), 2):
    keys = _differing(one, other)
    assert keys and all(key.startswith("task.distillation.") for key in keys)
  # And are fine-tuned alike, each from its own weights.
  assert set(found) == set(script.TASKS)
  for arms in found.values():
    for one, other in itertools.combinations(arms.values(), 2):
      assert _differing(one, other) == {"task.init_checkpoint",
                                        "task.vocab_file"}


def test_agoras_differ_in_what_is_ablated(places):
  script = _script("agora_table")
  for arms in _first(script, places(script)).values():
    arms.pop(script.ALL_ROWS)
    one, search, *agoras = arms.values()
    for a, b in itertools.combinations(agoras, 2):
      keys = _differing(a, b)
      assert keys and keys <= {"agora.points", "agora.soft_labels"}
    assert len(search["agora.sets"]) == search["agora.budget"]
    assert len({tuple(tried) for tried in search["agora.sets"]}) == 6
    for agora in agoras:
      # As many fine-tunings, and of the same sets.
      assert agora["agora.budget"] == search["agora.budget"] == 3 + 2 + 1
      assert len(agora["agora.sets"]) == 3
      assert _those(agora) < _those(search)
      assert {key for key in _differing(agora, search)
              if not key.startswith("agora.")} == set()
    assert one["agora.budget"] == len(one["agora.sets"]) == 1
    assert _those(one) < _those(agoras[0])


def _those(arm) -> set:
  return {tuple(tried) for tried in arm["agora.sets"]}


def test_repetitions_of_agora_share_no_seed_and_its_helper_sees_no_dev_row(
    places):
  script = _script("agora_table")
  where = places(script)
  seeds = [{tried[0] for tried in _resolved(script.Job(
      "RTE", script.SEARCH, seed), where)["agora.sets"]}
           for seed in script.SEEDS]
  assert not any(a & b for a, b in itertools.combinations(seeds, 2))
  helper = _resolved(script.Job("MRPC", script.HELPER), where)
  agora = _resolved(script.Job("MRPC", "Agora", 1), where)
  held = "task.train_data.held_out_share"
  assert helper[held] == agora["agora.agora_dev_share"]
  assert not helper["task.validation_data.input_path"]
  assert helper["task.train_data.input_path"] == (
      agora["task.train_data.input_path"])
  assert helper["task.test_path"] == agora["task.validation_data.input_path"]
