"""Devices, as far as a machine without a GPU can tell."""

import pytest
import tensorflow as tf

from official_style.configs import pretraining
from official_style.errors import UserError
from official_style.training import rendezvous
from official_style.training import strategies


def _place(**changes):
  return strategies.place(
      pretraining.PretrainingRuntimeConfig(**changes), 1)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)


def test_one_cpu_is_one_device():
  placement = _place(accelerator="cpu")
  assert isinstance(placement.strategy, tf.distribute.OneDeviceStrategy)
  assert placement.is_chief and placement.accelerator == "cpu"
  assert placement.describe() == (
      "1 cpu replica in 1 process, OneDeviceStrategy")
  placement.wait_for_all()


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")),
                    reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
  with pytest.raises(UserError, match="--accelerator=gpu: .*--accelerator=cpu"):
    _place(accelerator="gpu")


def test_a_tpu_that_is_not_there_is_refused():
  with pytest.raises(UserError, match="no TPU at") as error:
    _place(accelerator="tpu")
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("changes, named", [
    (dict(accelerator="npu"), "--accelerator=npu"),
    (dict(distribution_strategy="mirorred"), "'mirorred'"),
    (dict(accelerator="cpu", distribution_strategy="multi_worker_mirrored"),
     "TF_CONFIG")])
def test_what_makes_no_sense_is_one_line(changes, named):
  with pytest.raises(UserError, match=named) as error:
    _place(**changes)
  assert "\n" not in str(error.value)


def test_a_peer_that_never_comes_up_is_a_time_out(monkeypatch):
  monkeypatch.setenv("TF_CONFIG", (
      '{"cluster": {"worker": ["localhost:0", "localhost:1"]},'
      ' "task": {"index": 0}}'))
  monkeypatch.setattr(rendezvous, "_listen", lambda address: _Deaf())
  with pytest.raises(UserError, match="no answer from localhost:1 within 1 s"):
    _place(accelerator="cpu")


def test_replicas_that_a_worker_would_not_have_are_refused(monkeypatch):
  monkeypatch.setenv("TF_CONFIG", (
      '{"cluster": {"worker": ["localhost:1", "localhost:2"]},'
      ' "task": {"index": 0}}'))
  monkeypatch.setattr(  # Nothing can be changed once a device was used.
      tf.config, "set_logical_device_configuration", lambda *_: None)
  with pytest.raises(UserError, match="--num_replicas=2: a worker beside "
                     "others has 1.*start more workers"):
    _place(accelerator="cpu", num_replicas=2)


class _Deaf:

  def accept(self):
    raise OSError

  def close(self):
    pass
