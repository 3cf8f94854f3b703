"""Lists of tokens that a run was not trained with."""

import numpy as np
import pytest

from official_style.configs import schedule_file
from official_style.errors import UserError
from official_style.training import untrained_schedule
from tests.reference import slow_params
from tests.reference import tiny_finished_run

_LIST, _TEXTS = (9, 6, 4), [(("a good red film , and not a bad one .",),),
                            (("parse the json file of a value",),)]


@pytest.fixture
def file(tmp_path):
  """A function that writes a schedule and returns its path."""
  def write(lengths=_LIST, seq_length=tiny_finished_run.LENGTH,
            place="post_attention", **selection):
    path = str(tmp_path / "schedule.json")
    schedule_file.write(
        path, lengths, seq_length, place,
        schedule_file.selection_by("coreset") | selection, {})
    return path
  return write


def _same_answers(run, other):
  np.testing.assert_allclose(
      run.predict(_TEXTS), other.predict(_TEXTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("means", slow_params.all_but([True], [False, True]))
def test_a_plain_bert_becomes_the_pyramid_of_its_weights(file, means):
  path = file(merge_tokens=means, proportional_attention=means)
  dense = tiny_finished_run.classifier(None)
  run = untrained_schedule.with_schedule(dense, path)
  assert run.encoder.token_schedule == _LIST
  _same_answers(run, tiny_finished_run.classifier(_LIST, means=means))
  assert not np.allclose(run.predict(_TEXTS), dense.predict(_TEXTS))
  assert run.title.endswith(f", with {path}, which it was not trained for")


def test_a_pyramid_gets_another_list(file):
  run = tiny_finished_run.classifier((12, 8, 8), place="pre_layer")
  _same_answers(
      untrained_schedule.with_schedule(run, file(place="pre_layer")),
      tiny_finished_run.classifier(_LIST, place="pre_layer"))


def test_a_list_for_longer_rows_is_scaled(file):
  run = untrained_schedule.with_schedule(
      tiny_finished_run.classifier(None),
      file((18, 12, 8), 2 * tiny_finished_run.LENGTH))
  assert run.encoder.token_schedule == _LIST


@pytest.mark.parametrize("run, changes, said", [
    (dict(lengths=None), dict(lengths=(9, 6)),
     "num_layers=2, and this model has 3"),
    (dict(selector="attention"), {},
     "token_selector=coreset, and this model has attention"),
    (dict(place="pre_layer"), {}, "selection_place=post_attention"),
    (dict(retention_relative=True), {}, "give a run without")])
def test_a_list_for_another_model_is_refused(file, run, changes, said):
  path = file(**changes)
  relative = run.pop("retention_relative", False)
  made = tiny_finished_run.classifier(**run)
  if relative:
    made.config.task.model.encoder.get().retention_relative = True
  with pytest.raises(UserError, match=said) as error:
    untrained_schedule.with_schedule(made, path)
  assert str(error.value).startswith(f"--token_schedule_file={path}: ")


def test_a_pretraining_run_is_refused(file):
  with pytest.raises(UserError, match="fine-tune it first"):
    untrained_schedule.with_schedule(tiny_finished_run.pretrainer(), file())
