"""Models as LiteRT files: the same answers."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.errors import UserError
from official_style.serving import file_answers
from official_style.serving import litert_conversion
from official_style.serving import litert_export
from official_style.serving import verification_cases
from tests.reference import tiny_models

N = 12
NAMES = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(scope="module")
def encoder():
  # Weights of fewer than 1,024 numbers are left as they are.
  return tiny_models.pyramid_bert((8, 5, 3), inner_dim=128)


def _answers(encoder, quantize, rows):
  @tf.function(autograph=False)
  def call(**inputs):
    return dict(states=encoder(inputs, training=False)["sequence_output"])

  content = litert_conversion.to_litert(
      encoder, call, {name: tf.TensorSpec(rows[name].shape, tf.int32, name)
                      for name in NAMES}, quantize)
  run = litert_conversion.interpreter(content).get_signature_runner()
  return content, run(**{name: rows[name].numpy() for name in NAMES})["states"]


@pytest.fixture(scope="module")
def rows():
  return {name: tiny_models.rows(2, N, padding=3)[name] for name in NAMES}


@pytest.mark.filterwarnings("ignore")
def test_floats_answer_alike(encoder, rows):
  expected = encoder(rows, training=False)["sequence_output"].numpy()
  _, got = _answers(encoder, False, rows)
  np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_int8_answers_nearly_alike(encoder, rows):
  content, got = _answers(encoder, False, rows)
  small, quantized = _answers(encoder, True, rows)
  assert len(small) < len(content)
  assert 0 < np.abs(quantized - got).max() < 0.2


def test_a_file_that_litert_cannot_run_is_one_line(tmp_path, monkeypatch):
  def fails(*_):  # As of a Performer, which takes long to convert.
    raise RuntimeError("XNNPack delegate failed to reshape")
  for module, name, what in (
      (verification_cases, "rows_of", lambda *_: []),
      (file_answers, "fitting", lambda *_: {}),
      (litert_export, "converted", lambda *_: b""),
      (litert_export, "_compared", fails)):
    monkeypatch.setattr(module, name, what)
  with pytest.raises(UserError, match=r"--litert: 16 tokens can't be .*XNNPack"
                     ".*leave --litert out, or choose .* attention"):
    litert_export.write(str(tmp_path), None, (16,), ("float32",), False)
