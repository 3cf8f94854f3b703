"""Arrays survive JSON."""

import json

import numpy as np
import pytest

from official_style.serving import rest_json


def test_a_float32_is_the_same_after_nine_digits():
  bits = np.random.default_rng(0).integers(0, 1 << 32, 20000, np.uint32)
  x = bits.view(np.float32)
  x = np.concatenate([x[np.isfinite(x)], np.float32(
      [0.0, -0.0, 1e-45, 3.4028235e38, 0.1, 1 / 3])])
  # As TensorFlow Serving writes it, and as tools/serve.py does.
  nine = [f"{v:.9g}" for v in x]
  nine = [v if set(v) & set(".e") else f"{v}.0" for v in nine]
  for text in (f"[{','.join(nine)}]",
               rest_json.dumps(rest_json.value_of(x)).decode()):
    found = rest_json.array_of(json.loads(text), np.float32)
    assert found.tobytes() == x.tobytes()


def test_no_number_and_no_end_survive():
  x = np.float32([np.nan, np.inf, -np.inf])
  found = rest_json.array_of(rest_json.loads(
      rest_json.dumps(rest_json.value_of(x))), np.float32)
  np.testing.assert_array_equal(found, x)


def test_any_bytes_survive_as_inputs_and_as_outputs():
  values = [b"", b"a\0b\0", b"\xff\xfe", "漢字👍\u2028".encode(),
            b"\xed\xa0\x80", b'"\\/\n']
  x = np.empty([6], object)
  x[:] = values
  sent = rest_json.loads(rest_json.dumps(rest_json.value_of(x)))
  assert rest_json.array_of(sent, object).tolist() == values
  assert sent[2] == {"b64": "//4="} and sent[0] == ""
  # A server writes outputs as they are, UTF-8 or not.
  raw = rest_json.dumps([v.decode("utf-8", "surrogateescape") for v in values])
  assert b"\xff\xfe" in raw
  assert rest_json.array_of(rest_json.loads(raw), object).tolist() == values


@pytest.mark.parametrize("value, dtype, said", [
    ([[1, 2], [3]], np.int32, "several lengths"),
    ([[1], 2], np.int32, "several lengths"), ([1, [2]], np.int32, "a list"),
    ([1.5], np.int32, "no int32"), ([True], np.int32, "no int32"),
    ([2 ** 40], np.int32, "out of int32"), ([-1], np.uint8, "out of uint8"),
    (["1"], np.float32, "no float32"), ([1], np.bool_, "no bool"),
    ([None], np.float32, "no float32"), ([1], object, "no string"),
    ([{"b64": "?"}], object, "b64"), ([{"b64": 1}], object, "no string"),
    (["\ud800"], object, "no Unicode"),
    ([[[[[[[[[1]]]]]]]]], np.int32, "deeply")])
def test_what_does_not_fit_is_said(value, dtype, said):
  with pytest.raises(ValueError, match=said):
    rest_json.array_of(value, dtype)


def test_shapes_without_items_survive():
  for shape in ((0,), (2, 0), (1, 2, 0)):
    x = np.zeros(shape, np.float32)
    assert rest_json.array_of(x.tolist(), np.float32).shape == shape
  assert rest_json.array_of(3, np.int32).shape == ()


def test_a_hundred_thousand_brackets_are_an_error_and_no_crash():
  with pytest.raises(ValueError):
    rest_json.loads(b"[" * 100000)
  with pytest.raises(ValueError, match="deeply"):
    rest_json.loads(b"[" * 100000 + b"]" * 100000)
