"""What is written without TensorFlow is what TensorFlow would write."""

import os

import numpy as np
import pytest
import tensorflow as tf

from official_style.data.example_encoder import ExampleEncoder
from official_style.data.record_index import index_records
from official_style.data.record_writer import RecordWriter


def records():
  draw = np.random.default_rng(0)
  sizes = [0, 1, 127, 128, 5000, 3_000_000, 7]
  return [draw.bytes(size) for size in sizes]


def test_records_are_framed_as_tensorflow_does(tmp_path):
  with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
    for record in records():
      theirs.write(record)
  with RecordWriter(str(tmp_path / "ours")) as ours:
    for record in records():
      ours.write(record)
    facts = ours.finish()
  assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
  assert facts == index_records(str(tmp_path / "ours")).facts()


def test_a_file_appears_when_it_is_complete(tmp_path):
  with pytest.raises(KeyError), RecordWriter(str(tmp_path / "a")) as writer:
    writer.write(b"x" * 2_000_000)
    assert os.listdir(tmp_path) == [f"a.tmp-{os.getpid()}"]
    raise KeyError
  assert not os.listdir(tmp_path)


def theirs(rows, index):
  example = tf.train.Example()
  for name, values in rows.items():
    example.features.feature[name].int64_list.value.extend(
        values[index].tolist())
  return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("limit", [2, 128, 129, 16384, 30522, 2_500_000])
@pytest.mark.parametrize("length", [1, 4, 127, 600])
def test_examples_are_serialized_as_protobuf_does(limit, length):
  draw = np.random.default_rng(limit + length)
  rows = dict(
      input_word_ids=draw.integers(0, limit, (5, length)),
      zeros=np.zeros((5, length), np.int32),
      a=np.minimum(2 ** draw.integers(0, 22, (5, length)), limit - 1),
      ends=np.full((5, length), limit - 1), small=draw.integers(
          0, min(limit, 128), (5, length), np.int32))
  encoded = ExampleEncoder(limit).encode(rows)
  assert encoded == [theirs(rows, i) for i in range(5)]
