"""What is wrong with a teacher's settings is told before anything is built."""

import json

import pytest

from official_style.configs import distillation
from official_style.configs import pretraining
from official_style.configs import saved_config
from tests.reference import resolving

_DISTILL = ("--experiment=bert_distill",)


def _cache(folder):
  """A folder with a manifest, which is all that is looked at here."""
  (folder / "manifest.json").write_text(json.dumps({}), encoding="utf-8")
  return f"--gin_params=TEACHER_CACHE = {str(folder)!r}"


def test_settings_are_bort_s():
  config = resolving.resolved(
      *_DISTILL, "--gin_params=DISTILL_WEIGHT = 0.0").config.task
  assert isinstance(config, distillation.DistillationTaskConfig)
  settings = distillation.DistillationConfig()
  assert (settings.mlm_weight, settings.weight, settings.temperature,
          settings.positions) == (0.1, 0.5, 2.0, "masked")
  assert (config.distillation.mlm_weight, config.distillation.temperature) == (
      0.1, 2.0)


def test_without_weight_no_teacher_is_looked_at():
  config = resolving.resolved(
      *_DISTILL, "--teacher=/nowhere", "--gin_params=DISTILL_WEIGHT = 0.0",
      "--gin_params=TEACHER_CACHE = '/nowhere'").config.task.distillation
  assert config.teacher == config.teacher_cache == config.teacher_digest == ""


def test_a_cache_stands_for_the_teacher(tmp_path):
  config = resolving.resolved(*_DISTILL, _cache(tmp_path)).config.task
  assert config.distillation.teacher == ""
  assert len(config.distillation.teacher_cache_digest) == 64
  assert not config.distillation.needs_teacher


@pytest.mark.parametrize("name, value, said", [
    ("weight", -1, "weight=-1"), ("mlm_weight", -0.1, "mlm_weight"),
    ("temperature", 0, "temperature=0"), ("positions", "some", "masked, all"),
    ("hidden_distance", "l1", "mse, cosine"),
    ("relation_heads", -2, "relation_heads"),
    ("hidden_layers", "[3]", "are 1 to 2"),
    ("mask_epochs", -1, "mask_epochs"),
    ("temperature", 0.5, "at least 1 with"),
    ("hidden_weight", 1.0, "needs the teacher itself"),
    ("logits_weight", 0.0, "nothing is learnt")])
def test_what_cannot_work_is_one_line(tmp_path, name, value, said):
  message = resolving.refused(
      *_DISTILL, _cache(tmp_path),
      f"--params_override=task.distillation.{name}={value}")
  assert said in message and "\n" not in message


def test_something_has_to_train_the_words_head(tmp_path):
  assert "nothing would train" in resolving.refused(
      *_DISTILL, _cache(tmp_path), "--gin_params=MLM_WEIGHT = 0.0",
      "--params_override=task.distillation.logits_weight=0.0")


@pytest.mark.parametrize("flags, said", [
    (["--teacher=/nowhere"], "nothing there"),
    (["--gin_params=TEACHER_CACHE = '/nowhere'"], "no complete cache"),
    ([], "--teacher=runs/bert")])
def test_a_teacher_that_is_not_there_is_told(flags, said):
  assert said in resolving.refused(*_DISTILL, *flags)


def test_a_folder_that_says_nothing_of_itself_is_told(tmp_path):
  assert "convert_checkpoint" in resolving.refused(
      *_DISTILL, f"--teacher={tmp_path}")


def test_a_teacher_for_a_run_that_takes_none_is_told():
  assert "distillation" in resolving.refused(
      "--experiment=bert", "--teacher=runs/bert")


def test_plain_pretraining_has_no_section_of_it(tmp_path):
  from official_style.configs import resolve
  config = resolving.resolved("--experiment=bert").config
  assert type(config.task) is pretraining.PretrainingTaskConfig
  path = tmp_path / "params.yaml"
  for name in ("bert", "bert_distill"):
    config = resolving.resolved(f"--experiment={name}", *(
        ["--gin_params=DISTILL_WEIGHT = 0.0"] * (name != "bert"))).config
    path.write_text(resolve.params_text(config), encoding="utf-8")
    assert type(saved_config.read(str(path)).task) is type(config.task)
