"""The last words of a fine-tuning run."""

import types

import pytest

from official_style.data.label_sets import LabelSet
from official_style.data.labelled_row import LabelledRow
from official_style.training import fine_tuning_words
from official_style.training import trainer as trainer_lib


def _words(labels=LabelSet("class", ("no", "yes")), baseline=0.5, step=10,
           data="a b.tsv", init="", budgets=None, test=(), folder="r",
           encoder=(), **metrics):
  name = types.SimpleNamespace
  trainer = name(train_steps=20, best_checkpoint_eval_metric="accuracy")
  run = name(
      config=name(trainer=trainer, task=name(
          init_checkpoint=init, train_data=name(input_path=data),
          threshold_speedup=None, model=name(encoder=name(
              get=lambda: name(budgets=budgets, **dict(encoder)))))),
      folder=name(file=lambda path: f"r/{path}"),
      options=name(experiment="bert/sentence_prediction", model_dir=folder,
                   argv=("train.py", f"--train_data={data}",
                         f"--model_dir={folder}")),
      data=name(source=name(eval=[1, 2], test=test, baseline=baseline)))
  result = name(step=step, test_metrics={}, labels=labels, metrics=dict(
      loss=0.7, f1=0.6, accuracy=0.8) | metrics)
  state = trainer_lib.RunState(step=20, evaluations_since_best=3)
  return fine_tuning_words.of(run, state, result, 61)


def test_the_deciding_metric_comes_first_and_f1_says_whose_it_is():
  lines = [line.split() for line in _words().splitlines()]
  names = [line[0] for line in lines if line][2:5]
  assert names == ["accuracy", "f1", "loss"]
  assert "f1 of 'yes'" in _words()
  assert "at step 10, the best:" in _words()
  assert "at step 20:" in _words(step=20)


def test_budgets_are_a_table_and_not_among_the_metrics():
  text = _words(budgets=(1.0, 2.5), **{
      "accuracy_over_budgets": 0.65, "accuracy_at_1x": 0.7,
      "accuracy_at_2.5x": 0.6})
  lines = [line.split() for line in text.splitlines()]
  assert ["1x", "0.7000"] in lines and ["2.5x", "0.6000"] in lines
  assert ["accuracy", "over", "budgets", "0.6500"] in lines
  assert "accuracy at" not in text and "budget" not in _words()


@pytest.mark.parametrize("accuracy, said", [(0.5, True), (0.6, False)])
def test_no_better_than_the_commonest_label_is_said(accuracy, said):
  assert ("no more than which label" in _words(accuracy=accuracy)) == said
  assert ("from a checkpoint." in _words(accuracy=accuracy)) == said
  # Which it did already.
  assert "from a checkpoint." not in _words(accuracy=accuracy, init="runs/x")


def test_why_there_are_no_test_metrics_is_said():
  test = [LabelledRow((("a",),), label, "3", "d/t.tsv")
          for label in ("no", None, "yes")]
  assert ("\n  no test metrics: 1 of 3 rows has no label that training knows, "
          "first t.tsv:3\n") in _words(test=test)
  assert "no test metrics" not in _words(test=test[::2])


def test_the_next_command_can_be_copied():
  text = _words()
  assert "--train_data='a b.tsv' --seeds=3 --model_dir=r-seeds" in text
  assert "--model_dir='my run-seeds'\n" in _words(folder="my run")
  # Nothing stands behind it that would be taken for arguments.
  assert "--experiment=token_drop_bert\n" in text
  assert "--experiment=token_drop_bert" not in _words(init="runs/x")
  assert "--train_data=my.tsv" in _words(data="")


def test_what_a_classifier_is_for_comes_first():
  said = _words(folder="runs/my run").partition("What to run next:\n")[2]
  assert said.splitlines()[0].split(maxsplit=2)[2] == (
      "--model_dir='runs/my run' --output='exports/my run' --verify")
  assert "show_tokens" not in said
  assert "python tools/show_tokens.py --model_dir=r\n" in _words(
      encoder=dict(token_schedule=(9, 3)))
