"""Errors that are not ours, in a user's words; and what is checked first."""

import errno
import json
import os
import types

import pytest
import tensorflow as tf

from official_style.configs import pretraining
from official_style.errors import UserError
from official_style.training import run_checks
from official_style.training import run_errors


@pytest.fixture(autouse=True)
def alone(monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)


@pytest.mark.parametrize("error", [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    tf.errors.ResourceExhaustedError(
        None, None, "events.out; No space left on device")])
def test_a_full_disk_is_called_so(error):
  explained = run_errors.explain(error, "runs/mine")
  assert "no space left" in str(explained) and "runs/mine" in str(explained)


@pytest.mark.parametrize("error", [
    KeyError("x"), ValueError("No space left on device"),
    PermissionError(errno.EACCES, "Permission denied"),
    tf.errors.InvalidArgumentError(None, None, "shapes must match")])
def test_a_defect_of_ours_is_not_explained_away(error):
  assert run_errors.explain(error, "runs/mine") is None


@pytest.mark.parametrize("error, words", [
    (NotADirectoryError(
        errno.ENOTDIR, "Not a directory", "runs/mine/data.tmp-1", None,
        "runs/mine/data"), "data: Not a directory"),
    (OSError(errno.EROFS, "Read-only file system",
             os.path.abspath("runs/mine/checkpoints/ckpt-4.tmp-1")),
     "checkpoints/ckpt-4.tmp-1: Read-only"),
    (tf.errors.FailedPreconditionError(
        None, None, "{{function_node __x}} runs/mine/tensorboard is not a "
        "directory [Op:CreateSummaryFileWriter] name: "),
     "runs/mine/tensorboard is not a directory: mend")])
def test_a_file_of_the_run_that_can_not_be_used_is_named(error, words):
  explained = str(run_errors.explain(error, "runs/mine"))
  assert "--model_dir=runs/mine: " in explained and words in explained


def test_a_file_elsewhere_is_not_of_the_run():
  error = PermissionError(errno.EACCES, "Permission denied", "runs/mine2/x")
  assert run_errors.explain(error, "runs/mine") is None


def test_too_little_memory_is_called_so_with_the_mend():
  error = tf.errors.ResourceExhaustedError(None, None, (
      "Exception encountered when calling layer 'self_attention'.\n\n"
      "{{function_node __x}} OOM when allocating tensor with shape[8,9] and "
      "type float [Op:BatchMatMulV2]\n\nCall arguments"))
  explained = str(run_errors.explain(error, "runs/mine"))
  assert explained.startswith(
      "out of memory (OOM when allocating tensor with shape[8,9] and type "
      "float): ")
  assert "gradient_accumulation_steps" in explained


def test_a_users_error_stays_itself():
  error = UserError("x")
  assert run_errors.explain(error, "runs/mine") is error


def test_what_the_reading_thread_said_is_passed_on():
  error = tf.errors.UnknownError(None, None, (
      "UserError: a.tfrecord, record 3 is damaged.\n"
      "Traceback (most recent call last):\n  File x\n\n\t [[{{node P}}]]"))
  assert str(run_errors.explain(error, "r")) == (
      "a.tfrecord, record 3 is damaged.")


def test_a_worker_that_is_gone_is_named(monkeypatch):
  monkeypatch.setenv("TF_CONFIG", json.dumps(dict(
      cluster=dict(worker=["localhost:1", "localhost:2"]),
      task=dict(index=0))))
  error = tf.errors.UnavailableError(None, None, "Connection reset by peer")
  explained = str(run_errors.explain(error, "r"))
  assert "worker 0: lost localhost:2" in explained


def _check(replicas=1, **changes):
  config = pretraining.PretrainingConfig()
  config.task.train_data.global_batch_size = 8
  config.task.validation_data.global_batch_size = changes.pop("eval", 8)
  for name, value in changes.items():
    setattr(config.trainer, name, value)
  strategy = types.SimpleNamespace(num_replicas_in_sync=replicas)
  run_checks.check(config, types.SimpleNamespace(strategy=strategy),
                   ("mlm_loss", "mlm_accuracy"))


def test_what_divides_is_fine():
  _check()
  _check(4, gradient_accumulation_steps=2)


@pytest.mark.parametrize("replicas, changes, named", [
    (3, {}, "does not divide by 3 replicas"),
    (4, dict(gradient_accumulation_steps=4), "multiple of 16"),
    (4, dict(eval=6), "task.validation_data.global_batch_size=6"),
    (1, dict(best_checkpoint_eval_metric="loss"), "mlm_loss"),
    (1, dict(best_checkpoint_metric_comp="less"), "higher or lower")])
def test_what_would_fail_later_is_told_at_once(replicas, changes, named):
  with pytest.raises(UserError, match=named) as error:
    _check(replicas, **changes)
  assert "\n" not in str(error.value)
