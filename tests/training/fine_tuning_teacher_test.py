"""Fine-tuning beside a teacher, through the command line."""

import json
import shutil

import numpy as np
import pytest

from official_style.training import finished_run
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

SIZES = dict.fromkeys(
    ("HIDDEN_SIZE", "NUM_LAYERS", "NUM_ATTENTION_HEADS", "INNER_DIM"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """A folder with rows, and a run that learnt to tell them apart."""
  folder = tmp_path_factory.mktemp("made")
  tiny.classes(folder)
  assert tiny.run(folder / "teacher", folder / "train.tsv", EPOCHS=6.0) == 0
  return folder


def _metrics(run, name):
  return [record[name] for record in tiny_runs.metrics(run)
          if name in record]


def _logits(run, rows=("odd ban", "bad kel odd", "good")):
  return finished_run.load(str(run)).predict([((row,),) for row in rows])


@pytest.mark.slow
def test_what_it_says_is_learnt_without_any_label(made, tmp_path):
  # Labels were dealt out anew: only the teacher knows the right ones.
  with open(made / "train.tsv", encoding="utf-8") as f:
    header, *lines = f.read().splitlines()
  texts, labels = zip(*(line.split("\t") for line in lines))
  wrong = labels[1:] + labels[:1]
  data = tmp_path / "wrong.tsv"
  data.write_text("\n".join([header, *map("\t".join, zip(texts, wrong))]))
  run = tmp_path / "run"
  assert tiny.run(run, data, f"--teacher={made / 'teacher'}",
                  f"--eval_data={made / 'train.tsv'}", SEED=5,
                  EPOCHS=8.0, DISTILL_WEIGHT=1.0) == 0
  rows = tiny.table(run, "predictions.tsv")
  assert np.mean([row["label"] == row["prediction"] for row in rows]) > 0.9
  losses = _metrics(run, "distillation_loss")
  assert losses[-1] < 0.2 * losses[0]


def test_a_pyramid_learns_of_the_dense_model_it_starts_from(made, tmp_path):
  teacher, run = made / "teacher", tmp_path / "run"
  assert tiny.run(
      run, made / "train.tsv", f"--teacher={teacher}",
      f"--init_checkpoint={teacher}",
      experiment="pyramid_bert", RETENTION_SPEEDUP=1.3, **SIZES) == 0
  assert _metrics(run, "distillation_loss")
  assert "teacher" not in json.dumps(sorted(
      tiny_runs.tensors(str(run), 14))).lower()


@pytest.mark.slow
def test_who_is_its_own_teacher_stays_as_it_is(made, tmp_path):
  teacher, run = made / "teacher", tmp_path / "run"
  assert tiny.run(
      run, made / "train.tsv", f"--teacher={teacher}",
      f"--init_checkpoint={teacher}", LEARNING_RATE=1e-4,
      DISTILL_WEIGHT=1.0, **SIZES) == 0
  # Adam steps by the sign of what is left after rounding.
  assert max(_metrics(run, "distillation_loss")) < 1e-3
  np.testing.assert_allclose(_logits(run), _logits(teacher), atol=0.05)


@pytest.mark.slow
def test_another_teacher_is_another_run(made, tmp_path, capsys):
  teacher, run = tmp_path / "teacher", tmp_path / "run"
  shutil.copytree(made / "teacher", teacher)
  asked = (run, made / "train.tsv", f"--teacher={teacher}")
  assert tiny.run(*asked, EPOCHS=1.0) == 0
  shutil.rmtree(teacher)
  assert tiny.run(teacher, made / "train.tsv", SEED=3, EPOCHS=1.0) == 0
  capsys.readouterr()
  assert tiny.run(*asked, EPOCHS=1.0) == 2
  assert "teacher_digest" in capsys.readouterr().err


@pytest.mark.parametrize("flags, gin, said", [
    (["--teacher=nowhere"], {}, ["--teacher=nowhere", "no fine-tuned run"]),
    (["--teacher=teacher", "--gin_params=DISTILL_WEIGHT = 1.5"], {},
     ["task.distillation.weight=1.5"]),
    (["--teacher=teacher", "--gin_params=DISTILL_TEMPERATURE = 0.0"], {},
     ["task.distillation.temperature=0"]),
    (["--teacher=teacher"], dict(SEQ_LENGTH=600),
     ["reads", "seq_length=600", "shorten"]),
    (["--teacher=teacher", "--text_columns=text", "--label_column=other"], {},
     ["was trained for the 3 labels", "the 2 labels"]),
    (["--teacher=teacher", "--params_override=task.pair_separators=2"], {},
     ["trained with 1 [SEP] between", "task.pair_separators=2: set it to 1"]),
    (["--teacher=teacher", "--vocab_file=words.txt"], {},
     ["the teacher's vocabulary", "words.txt"])])
def test_who_cannot_teach_is_told_in_one_line(
    made, tmp_path, monkeypatch, capsys, flags, gin, said):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "teacher").symlink_to(made / "teacher")
  with open(made / "train.tsv", encoding="utf-8") as f:
    lines = [line.rstrip("\n") for line in f]
  (tmp_path / "train.tsv").write_text("\n".join(
      f"{line}\t{('other', 'x', 'y')[min(i, 1 + i % 2)]}"
      for i, line in enumerate(lines)))
  with open(made / "teacher" / "data" / "vocab.txt", encoding="utf-8") as f:
    (tmp_path / "words.txt").write_text(f.read() + "another\n")
  if "--label_column=other" not in flags:
    flags = [*flags, "--label_column=label"]
  assert tiny.run(tmp_path / "run", tmp_path / "train.tsv", *flags, **gin) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith("error: ")
  for part in said:
    assert part in message


def test_a_dry_run_counts_its_forward_pass(made, tmp_path, capsys):
  """Of equal sizes, one of the three passes a training step has."""
  assert tiny.run(tmp_path / "run", made / "train.tsv", "--dry_run",
                  f"--teacher={made / 'teacher'}") == 0
  out = capsys.readouterr().out
  assert f"{made / 'teacher'}, FLOPs a step" in out
  assert "more, 33.3% of the student's own" in out


@pytest.mark.slow
def test_without_weight_it_is_the_run_without_teacher(made, tmp_path):
  for name, flags in (("plain", ()), ("weightless", (
      f"--teacher={made / 'teacher'}", "--gin_params=DISTILL_WEIGHT = 0.0"))):
    assert tiny.run(tmp_path / name, made / "train.tsv", *flags,
                    EPOCHS=1.0) == 0
  assert tiny_runs.metrics(tmp_path / "weightless") == tiny_runs.metrics(
      tmp_path / "plain")
  assert not _metrics(tmp_path / "weightless", "distillation_loss")


def test_several_budgets_have_a_teacher_of_their_own(made, tmp_path, capsys):
  assert tiny.run(
      tmp_path / "run", made / "train.tsv", f"--teacher={made / 'teacher'}",
      experiment="pyramid_bert/any_budget", RETENTION_SPEEDUP=1.3,
      BUDGETS=(1.0, 1.3)) == 2
  assert "its own pass with all tokens" in capsys.readouterr().err
