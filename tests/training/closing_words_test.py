"""The last words of a pretraining run."""

import types

import pytest

from official_style.configs import encoders
from official_style.training import closing_words
from official_style.training import trainer as trainer_lib


def _next(*argv, encoder=encoders.TokenDropBertEncoderConfig, data="",
          folder="runs/mine"):
  name = types.SimpleNamespace
  config = name(task=name(
      train_data=name(input_path=data),
      model=name(encoder=name(get=encoder))), trainer=name())
  words = closing_words.of(
      config, name(argv=("train.py", *argv)), name(
          path=folder, file=lambda path: f"{folder}/{path}"), None,
      trainer_lib.RunState(step=8), 61)
  return words.partition("What to run next:\n")[2]


def test_commands_can_be_copied_wherever_the_run_lies():
  said = _next("--experiment=bert", folder="my runs/ü")
  assert "--logdir='my runs/ü/tensorboard'\n" in said
  assert "--init_checkpoint='my runs/ü'\n" in said


def test_the_same_on_other_text_is_the_same_in_all_else():
  said = _next("--experiment=bert_distill", "--teacher=runs/a b",
               "--gin_params=TRAIN_STEPS = 9", "--model_dir=runs/x",
               "--restart")
  assert ("  python train.py --experiment=bert_distill --teacher='runs/a b' "
          "--gin_params='TRAIN_STEPS = 9' --train_data='your/*.txt' "
          "--model_dir=runs/mine\n") in said
  assert "your/*.txt" not in _next("--train_data=x.txt", data="x.txt")


@pytest.mark.parametrize("encoder, compares", [
    (encoders.TokenDropBertEncoderConfig, True),
    (encoders.FastBertEncoderConfig, False)])
def test_a_dense_model_is_not_compared_with_itself(encoder, compares):
  assert ("to compare" in _next(encoder=encoder)) == compares
