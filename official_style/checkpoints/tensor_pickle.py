"""The list of tensors in a file of `torch.save`, told without unpickling.

A pickle is a program for a machine with a stack; what makes it dangerous is
that it may name any function there is. Here its instructions are only told
apart, by `pickletools`, and those of a list of tensors are followed. Names of
functions are compared with the few that such a list has, and nothing is ever
imported or called. How the list is written, PyTorch's own source says:
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

import dataclasses
import pickletools

# Type of storage -> name of what an element is.
STORAGES = {
    "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32", "DoubleStorage": "float64",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
    "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool"}
_TENSOR, _PARAMETER, _DICT = (
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    "collections.OrderedDict")
_MAX_INSTRUCTIONS = 5_000_000


class NotTensors(Exception):
  """It is no list of tensors; the message says what there is instead."""


@dataclasses.dataclass(frozen=True)
class StoredTensor:
  """Where the elements of a tensor are.

  Attributes:
    key: of the storage, the name of a file in the archive.
    dtype: of `STORAGES`.
    count: elements of the whole storage.
    offset: of the first element.
    shape, strides: in elements.
  """
  key: str
  dtype: str
  count: int
  offset: int
  shape: tuple
  strides: tuple


@dataclasses.dataclass(frozen=True)
class _Name:
  """Of a function or class that was not looked up."""
  text: str


_MARK = object()


def tensors(content: bytes) -> dict[str, StoredTensor]:
  """Name -> where it is, of the pickle of a `state_dict`.

  Raises:
    NotTensors: for anything else.
  """
  machine = _Machine()
  try:
    for number, (code, argument, _) in enumerate(pickletools.genops(content)):
      if number > _MAX_INSTRUCTIONS:
        raise NotTensors(f"more than {_MAX_INSTRUCTIONS:,} instructions")
      if code.name == "STOP":
        break
      machine.follow(code.name, argument)
    found = machine.stack.pop()
  except NotTensors:
    raise
  except (ValueError, IndexError, KeyError, TypeError, AttributeError,
          RecursionError, UnicodeError) as error:
    raise NotTensors(f"a damaged list ({type(error).__name__})") from None
  if not isinstance(found, dict):
    raise NotTensors(f"no table of tensors but a {type(found).__name__}")
  return {name: value for name, value in found.items()
          if isinstance(name, str) and isinstance(value, StoredTensor)}


class _Machine:
  """A stack, what was put aside, and the instructions of lists of tensors."""

  def __init__(self):
    self.stack, self._aside = [], {}

  def follow(self, name: str, argument):
    if name in ("PROTO", "FRAME"):
      return
    if name in _PUSHED:
      self.stack.append(argument)
    elif name in _MADE:
      self.stack.append(_MADE[name]())
    elif name in ("BINPUT", "LONG_BINPUT"):
      self._aside[argument] = self.stack[-1]
    elif name == "MEMOIZE":
      self._aside[len(self._aside)] = self.stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
      self.stack.append(self._aside[argument])
    else:
      act = getattr(self, f"_{name.lower()}", None)
      if act is None:
        raise NotTensors(f"the instruction {name}, which no list of tensors "
                         "has")
      act(argument)

  def _pop_to_mark(self) -> list:
    place = len(self.stack) - 1
    while self.stack[place] is not _MARK:
      place -= 1
      if place < 0:
        raise ValueError
    found = self.stack[place + 1:]
    del self.stack[place:]
    return found

  def _mark(self, _):
    self.stack.append(_MARK)

  def _tuple(self, _):
    self.stack.append(tuple(self._pop_to_mark()))

  def _tuple1(self, _, count=1):
    items = tuple(self.stack[-count:])
    if len(items) != count:
      raise ValueError
    del self.stack[-count:]
    self.stack.append(items)

  def _tuple2(self, _):
    self._tuple1(_, 2)

  def _tuple3(self, _):
    self._tuple1(_, 3)

  def _appends(self, _):
    items = self._pop_to_mark()
    self.stack[-1].extend(items)

  def _append(self, _):
    item = self.stack.pop()
    self.stack[-1].append(item)

  def _setitem(self, _):
    value, key = self.stack.pop(), self.stack.pop()
    self._add([key, value])

  def _setitems(self, _):
    self._add(self._pop_to_mark())

  def _add(self, items):
    table = self.stack[-1]
    for key, value in zip(items[::2], items[1::2], strict=True):
      if type(key) not in (str, int):
        raise ValueError  # The hash of a tuple of tuples may take for ever.
      if isinstance(value, StoredTensor) and key in table:
        raise NotTensors(f"{key!r:.80} twice")
      table[key] = value

  def _global(self, argument):
    module, name = argument.split(" ")
    self._push_name(module, name)

  def _stack_global(self, _):
    name, module = self.stack.pop(), self.stack.pop()
    self._push_name(module, name)

  def _push_name(self, module, name):
    text = f"{module}.{name}"
    known = (_TENSOR, _PARAMETER, _DICT)
    if text not in known and not (
        module == "torch" and name in STORAGES):
      raise NotTensors(f"the name {text!r:.80}, which no list of tensors has")
    self.stack.append(_Name(text))

  def _binpersid(self, _):
    kind, storage, key, _, count = self.stack.pop()
    name = storage.text.removeprefix("torch.")
    if kind != "storage" or not isinstance(key, str) or type(count) is not int:
      raise ValueError
    self.stack.append(StoredTensor(
        key, STORAGES[name], count, 0, (count,), (1,)))

  def _reduce(self, _):
    given, function = self.stack.pop(), self.stack.pop()
    if function.text == _DICT:
      if given != ():
        raise NotTensors("a table that is made of something")
      self.stack.append({})
    elif function.text == _PARAMETER:
      if not isinstance(given[0], StoredTensor):
        raise ValueError
      self.stack.append(given[0])
    elif function.text == _TENSOR:
      self.stack.append(_tensor(*given[:4]))
    else:
      raise NotTensors(f"a call of {function.text}")

  def _build(self, _):
    # What a table is told beside its entries: versions of layers.
    if not isinstance(self.stack.pop(), dict) or not isinstance(
        self.stack[-1], dict):
      raise ValueError


def _tensor(storage, offset, shape, strides) -> StoredTensor:
  numbers = (offset, *shape, *strides)
  if len(shape) != len(strides) or not all(
      type(x) is int and 0 <= x < 2**48 for x in numbers):
    raise ValueError
  return dataclasses.replace(
      storage, offset=offset, shape=tuple(shape), strides=tuple(strides))


_PUSHED = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BININT",
           "BININT1", "BININT2", "LONG1", "BINFLOAT")
_MADE = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple,
         "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
         "NONE": lambda: None}
