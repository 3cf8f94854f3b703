"""PyTorch's archives are read without unpickling, and nothing else is."""

import pickle
import zipfile

import numpy as np
import pytest

from official_style.checkpoints import tensor_pickle
from official_style.checkpoints.torch_zip_file import TorchZipFile
from official_style.errors import UserError
from tests.reference import torch_zip


class _Bomb:
  """Leaves a file behind when somebody unpickles it."""

  def __init__(self, path):
    self.path = str(path)

  def __reduce__(self):
    return open, (self.path, "w")


def _array(*shape, dtype="float32"):
  return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tensors_come_back_in_float32(tmp_path, dtype, protocol):
  array = _array(3, 4, dtype=dtype)
  held = torch_zip.storage("0", array)
  torch_zip.write(tmp_path / "a.bin", {"w": torch_zip.tensor(held, [3, 4])},
                  protocol)
  file = TorchZipFile(str(tmp_path / "a.bin"))
  assert file.shapes == {"w": (3, 4)} and file.others == []
  found = file.read(["w"])["w"]
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, array.astype(np.float32))


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
  array = np.array([1.0, -2.5, 3.140625], np.float32)
  torch_zip.write(tmp_path / "a.bin", {"w": torch_zip.tensor(
      torch_zip.storage("0", array, "bfloat16"), [3])})
  np.testing.assert_array_equal(
      TorchZipFile(str(tmp_path / "a.bin")).read(["w"])["w"], array)


@pytest.mark.parametrize("name", ["a\ud800", "a\nb", "a\x1b[31m"])
def test_a_name_that_can_not_be_shown_is_refused(tmp_path, name):
  array = _array(2)
  torch_zip.write(tmp_path / "a.bin", {
      name: torch_zip.tensor(torch_zip.storage("0", array), [2])})
  with pytest.raises(UserError, match="the name 'a") as error:
    TorchZipFile(str(tmp_path / "a.bin"))
  assert str(error.value).isprintable()


def test_views_and_shared_storages_are_what_they_are(tmp_path):
  array = _array(24)
  held = torch_zip.storage("7", array)
  torch_zip.write(tmp_path / "a.bin", {
      "whole": torch_zip.tensor(held, [4, 6]),
      "turned": torch_zip.tensor(held, [6, 4], [1, 6]),
      "part": torch_zip.tensor(held, [2, 3], [6, 1], offset=8),
      "one": torch_zip.tensor(held, [], offset=23),
      "ids": torch_zip.tensor(
          torch_zip.storage("8", np.arange(5)), [1, 5])})
  file = TorchZipFile(str(tmp_path / "a.bin"))
  assert file.others == ["ids"]
  found = file.read(["whole", "turned", "part", "one"])
  np.testing.assert_array_equal(found["whole"], array.reshape(4, 6))
  np.testing.assert_array_equal(found["turned"], array.reshape(4, 6).T)
  np.testing.assert_array_equal(
      found["part"], array.reshape(4, 6)[1:3, 2:5])
  assert found["one"] == array[23]


def _refused(path, *words):
  with pytest.raises(UserError) as caught:
    file = TorchZipFile(str(path))
    file.read(file.shapes)
  assert all(word in str(caught.value) for word in (str(path), *words))


def test_what_is_no_list_of_tensors_is_refused_and_not_run(tmp_path):
  left, path = tmp_path / "left", tmp_path / "a.bin"
  for protocol in (0, 2, 4):
    torch_zip.write(path, {}, listed=pickle.dumps(_Bomb(left), protocol))
    _refused(path, "its list holds")
    path.write_bytes(pickle.dumps(_Bomb(left), protocol))
    _refused(path, "no archive", "safe_serialization")
  assert not left.exists()


@pytest.mark.parametrize("listed, word", [
    (b"", "a damaged list"), (b"\x80\x02.", "a damaged list"),
    (b"\x80\x02]q\x00.", "a list"), (b"\x80\x02}q\x00", "a damaged list"),
    (b"\x80\x02cos\nsystem\n.", "the name 'os.system'"),
    (b"\x80\x02ctorch\nload\n.", "the name 'torch.load'"),
    (b"\x80\x02ctorch\nFloatStorage\n)R.", "a call of torch.FloatStorage"),
    (b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.", "made of something"),
    (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "instruction NEWOBJ"),
    (b"\x80\x02})2\x86K\x01s.", "instruction DUP")])
def test_other_lists_are_told(tmp_path, listed, word):
  torch_zip.write(tmp_path / "a.bin", {}, listed=listed)
  _refused(tmp_path / "a.bin", word)


def test_a_key_that_is_no_name_is_not_hashed():
  # Each is a pair of the one before and itself put aside.
  nested = b")q\x00" + b"".join(
      b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(100))
  with pytest.raises(tensor_pickle.NotTensors, match="damaged"):
    tensor_pickle.tensors(b"\x80\x02" + nested + b"}hdK\x01s.")


@pytest.mark.parametrize("shape, strides, offset", [
    ([3, 5], None, 0), ([3, 4], None, 1), ([3, 4], [5, 1], 0),
    ([2**40, 2**40], [0, 0], 0), ([100], [0], 0)])
def test_elements_outside_of_the_storage_are_refused(
    tmp_path, shape, strides, offset):
  held = torch_zip.storage("0", _array(12))
  torch_zip.write(tmp_path / "a.bin", {"w": torch_zip.tensor(
      held, shape, strides, offset)})
  _refused(tmp_path / "a.bin", "w is ", "of 12 elements")


def test_bytes_that_are_not_there_are_told(tmp_path):
  values = {"w": torch_zip.tensor(torch_zip.storage("0", _array(12)), [12])}
  path = tmp_path / "a.bin"
  torch_zip.write(path, values, sizes={"0": 4})
  _refused(path, "not 48 bytes long")
  torch_zip.write(path, values, compression=zipfile.ZIP_DEFLATED)
  _refused(path, "a list of")
  torch_zip.write(path, values, byteorder=b"big")
  _refused(path, "order of bytes")
  torch_zip.write(path, values, **{"other/data.pkl": b"x"})
  _refused(path, "2 lists")
  torch_zip.write(path, values)
  content = bytearray(path.read_bytes())
  content[content.find(_array(12).tobytes()) + 3] ^= 1
  path.write_bytes(content)
  _refused(path, "Bad CRC")
  path.write_bytes(content[:100])
  _refused(path, "no archive")
  _refused(tmp_path / "nowhere.bin", "can't be read")


def test_numbers_that_are_none_are_told(tmp_path):
  array = np.array([1, np.nan, np.inf], np.float32)
  torch_zip.write(tmp_path / "a.bin", {"w": torch_zip.tensor(
      torch_zip.storage("0", array), [3])})
  _refused(tmp_path / "a.bin", "w holds 2 values")


def test_what_pytorch_itself_writes_is_read(tmp_path):
  torch = pytest.importorskip("torch")
  layer = torch.nn.Sequential(
      torch.nn.Linear(3, 4), torch.nn.LayerNorm(4)).half()
  layer.register_buffer("position_ids", torch.arange(5)[None])
  torch.save(layer.state_dict(), tmp_path / "a.bin")
  file = TorchZipFile(str(tmp_path / "a.bin"))
  assert file.others == ["position_ids"]
  found = file.read(file.shapes)
  assert found.keys() | {"position_ids"} == layer.state_dict().keys()
  for name, array in found.items():
    np.testing.assert_array_equal(
        array, layer.state_dict()[name].float().numpy())
