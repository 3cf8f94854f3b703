"""What an Agora goes on with."""

import types

from official_style.agora import agora_folder
from official_style.agora import agora_job
from official_style.agora import agora_options
from tests.reference import resolving

ROWS = types.SimpleNamespace(train=(), agora_dev=(), report_dev=())
ASKED = agora_options.AgoraOptions((), 1, points="none")


def _settings(*flags):
  return agora_job._settings(resolving.resolved(
      "--experiment=bert/sentence_prediction", "--init_checkpoint=",
      *flags).config, ROWS, ASKED)


def test_where_it_runs_may_change_and_in_which_precision_may_not():
  before = _settings()
  assert not agora_folder.difference(before, _settings("--accelerator=cpu"))
  half = _settings(
      "--params_override=runtime.mixed_precision_dtype=bfloat16")
  assert agora_folder.difference(before, half) == (
      "runtime.mixed_precision_dtype was None and is 'bfloat16'")
  # One that was begun when this was not noted goes on.
  del before["runtime.mixed_precision_dtype"]
  assert not agora_folder.difference(before, _settings())
