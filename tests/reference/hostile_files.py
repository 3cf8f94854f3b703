"""Files made to harm whoever reads them, and what is said of each.

A row builds its files in an empty folder and names the reader. A canary is a
path that exists as soon as anything in the files has been run.
"""

import io
import json
import os
import pathlib
import pickle
import struct
import tarfile
import zipfile
from typing import Callable, NamedTuple, Optional

import numpy as np
import safetensors.numpy

from tests.reference import huggingface_bert

# Names that no reader has any business with.
NEVER_OPENED = ("tf_model.h5", "weights.h5",
                "tokenizer.json", "evil.py", "model.zip", "model.tar.gz")
_DEEP = "[" * 100_000
_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))


class Place(NamedTuple):
  """Where a row builds: an empty folder, and the path of the canary."""
  folder: pathlib.Path
  canary: pathlib.Path


class HostileFile(NamedTuple):
  """A row.

  Attributes:
    what: the trick.
    reader: a name of `hostile_readers.READERS`.
    says: part of the one line; None where it is read and no harm is done.
    build: makes the files, returns the path to read.
  """
  what: str
  reader: str
  says: Optional[str]
  build: Callable[[Place], str]


class _Bomb:
  """Leaves the canary behind when somebody unpickles it."""

  def __init__(self, path):
    self._path = str(path)

  def __reduce__(self):
    return open, (self._path, "w")


def _write(at: Place, name: str, content) -> str:
  path = at.folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  return str(path)


def _sparse(path, size):
  with open(path, "wb") as f:
    f.truncate(size)
  return str(path)


def _file(name, content):
  """A file by itself; `content` may be a function of the place."""
  return lambda at: _write(
      at, name, content(at) if callable(content) else content)


# ---------------------------------------------------------------------------
# Folders of Hugging Face
# ---------------------------------------------------------------------------


def _hugging_face(name=None, content=None, **config):
  """A sound folder but for one file."""
  def build(at):
    folder, _ = huggingface_bert.write(
        at.folder / "hf", config, tokenizer={},
        arrays=huggingface_bert.tensors(huggingface_bert.CONFIG))
    if name is not None:
      os.path.lexists(f"{folder}/{name}") and os.remove(f"{folder}/{name}")
      made = content(at) if callable(content) else content
      if made is not None:
        _write(at, f"hf/{name}", made)
    return folder
  return build


def _weights(content):
  return _hugging_face("model.safetensors", content)


def _header(entries, data=8, length=None):
  text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
  return struct.pack(
      "<Q", len(text) if length is None else length) + text + bytes(data)


def _entry(first=0, last=8, shape=(2,), dtype="F32"):
  return dict(dtype=dtype, shape=list(shape), data_offsets=[first, last])


def _pickle(at):
  return pickle.dumps(_Bomb(at.canary))


def _zip(at):
  """As PyTorch writes it, with a member that climbs out."""
  content = io.BytesIO()
  with zipfile.ZipFile(content, "w") as archive:
    archive.writestr("archive/data.pkl", _pickle(at))
    archive.writestr(f"../{at.canary.name}", "out")
  return content.getvalue()


def _tar(at):
  """Members that climb out, by their names and by a link."""
  content = io.BytesIO()
  with tarfile.open(fileobj=content, mode="w:gz") as archive:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, str(at.canary.parent)
    archive.addfile(link)
    for name in (f"../{at.canary.name}", f"link/{at.canary.name}"):
      archive.addfile(tarfile.TarInfo(name), io.BytesIO())
  return content.getvalue()


def _deflated(name):
  content = io.BytesIO()
  with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(name, bytes(2**26))
  return content.getvalue()


def _without_weights(name, content):
  def build(at):
    folder = _hugging_face("model.safetensors", None)(at)
    _write(at, f"hf/{name}", content(at))
    return folder
  return build


def _link(name, target):
  def build(at):
    folder = _hugging_face(name, None)(at)
    os.symlink(target, os.path.join(folder, name))
    return folder
  return build


def _pipe(at):
  folder = _hugging_face("config.json", None)(at)
  os.mkfifo(os.path.join(folder, "config.json"))
  return folder


def _sparse_config(at):
  folder = _hugging_face()(at)
  _sparse(os.path.join(folder, "config.json"), 2**33)
  return folder


def _config_text(change):
  return lambda _: change(json.dumps(huggingface_bert.CONFIG))


def _not_a_number(_):
  arrays = huggingface_bert.tensors(huggingface_bert.CONFIG)
  arrays["bert.embeddings.LayerNorm.weight"][0] = np.nan
  return safetensors.numpy.save(arrays)


def _remote_code(at):
  _write(at, "hf/evil.py", f"open({str(at.canary)!r}, 'w')")
  return json.dumps(huggingface_bert.CONFIG | dict(
      auto_map=dict(AutoModel="evil.Model"), trust_remote_code=True))


def _tokenizer_json(_):
  return '{"normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}}'


# ---------------------------------------------------------------------------
# Runs, checkpoints of TensorFlow, exports
# ---------------------------------------------------------------------------


def _checkpoint(spoil):
  """A checkpoint of Model Garden's names, then spoiled."""
  def build(at):
    from official_style.checkpoints import named_weights
    from official_style.checkpoints import tensorflow2_writer
    sizes = named_weights.EncoderSizes(
        vocab_size=8, hidden_size=4, num_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8, type_vocab_size=2)
    at.folder.joinpath("ckpt").mkdir()
    prefix = str(at.folder / "ckpt" / "bert_model.ckpt")
    tensorflow2_writer.write(prefix, {
        name: np.ones(shape, np.float32)
        for name, shape in sizes.shapes().items()})
    spoil(prefix)
    return prefix
  return build


def _cut(suffix, size):
  def spoil(prefix):
    with open(prefix + suffix, "r+b") as f:
      f.truncate(size)
  return spoil


def _noise(prefix):
  with open(prefix + ".index", "wb") as f:
    f.write(np.random.default_rng(0).bytes(4096))


def _run(text, name="params.yaml"):
  """A folder that looks like a run of ours; ours are told by params.yaml."""
  def build(at):
    content = text(at) if callable(text) else text
    _checkpoint(lambda _: None)(at)
    _write(at, f"ckpt/{name}", content)
    return str(at.folder / "ckpt")
  return build


def _huge_run(at):
  """10^9 layers, it says, and its checkpoints have a few bytes."""
  from official_style.configs import resolve
  from official_style.data import vocabulary
  config = resolve.resolve_experiment("bert").config
  config.task.model.encoder.get().num_layers = 10**9
  words = vocabulary.Vocabulary(huggingface_bert.VOCAB)
  for name, content in (
      ("params.yaml", resolve.params_text(config)),
      ("data/vocab.txt", "".join(f"{token}\n" for token in words.tokens)),
      ("run.json", json.dumps(dict(data=dict(vocabulary=dict(
          sha256=words.sha256))))),
      ("checkpoints/ckpt-1/ckpt.index", "none")):
    _write(at, f"run/{name}", content)
  return str(at.folder / "run")


def _apply(at):
  return f"task: !!python/object/apply:os.system ['touch {at.canary}']\n"


def _export(spoil):
  """A sound export but for one thing."""
  def build(at):
    from official_style.serving import export_manifest
    _write(at, "1/saved_model.pb", b"graph")
    export_manifest.write(str(at.folder / "1"), {})
    spoil(at.folder / "1")
    return str(at.folder / "1")
  return build


def _linked(folder):
  (folder / "saved_model.pb").rename(folder.parent / "elsewhere")
  (folder / "saved_model.pb").symlink_to("../elsewhere")


def _listed(name):
  return lambda folder: (folder / "manifest.json").write_text(json.dumps(
      dict(files={name: dict(sha256="0" * 64)})))


def _gin(text):
  def build(at):
    # Where an import would find it.
    _write(at, "evil.py", f"open({str(at.canary)!r}, 'w')")
    return _write(at, "mine.gin", text)
  return build


def _pairs(tokens, merges="#version: 0.2\n"):
  def build(at):
    _write(at, "bpe/merges.txt", merges)
    return _write(at, "bpe/vocab.json", tokens)
  return build


_SPECIAL = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
FILES = (
    # --- weights ---
    HostileFile("safetensors: a header of 2^62 bytes", "convert", "claims",
                _weights(_header({"a": _entry()}, length=2**62))),
    HostileFile("safetensors: cut short", "convert", "its data at 4",
                _weights(_header({"a": _entry()}, 4))),
    HostileFile("safetensors: tensors over each other", "convert", "b begins",
                _weights(_header({"a": _entry(), "b": _entry(4, 12)}, 12))),
    HostileFile("safetensors: a name twice", "convert", "twice",
                _weights(_header(b'{"a": 1, "a": 2}'))),
    HostileFile("safetensors: nested 100,000 deep", "convert", "no JSON",
                _weights(_header(_DEEP.encode()))),
    HostileFile("safetensors: 2^60 by 2^60 floats", "convert", "is damaged",
                _weights(_header({"a": _entry(shape=(2**60, 2**60))}))),
    HostileFile("safetensors: Python objects", "convert", "of type OBJ",
                _weights(_header({"a": _entry(dtype="OBJ")}))),
    HostileFile("safetensors: a list as a type", "convert", "is damaged",
                _weights(_header({"a": _entry(dtype=["F32"])}))),
    HostileFile("safetensors: no numbers among the weights", "convert",
                "not finite", _weights(_not_a_number)),
    HostileFile("a pickle named model.safetensors", "convert", "a pickle",
                _weights(_pickle)),
    HostileFile("PyTorch's zip named model.safetensors", "convert",
                "a zip archive", _weights(_zip)),
    HostileFile("a tar named model.safetensors", "convert",
                "not a safetensors file", _weights(_tar)),
    HostileFile("HDF5 named model.safetensors", "convert",
                "not a safetensors file",
                _weights(b"\x89HDF\r\n\x1a\n" + bytes(99))),
    HostileFile("pytorch_model.bin, a pickle", "convert", "no archive",
                _without_weights("pytorch_model.bin", _pickle)),
    HostileFile("pytorch_model.bin: a list that names a function", "convert",
                "which no list of tensors has",
                _without_weights("pytorch_model.bin", _zip)),
    HostileFile("pytorch_model.bin: a list of 64 MiB in a few KiB", "convert",
                "a list of 67,108,864 bytes",
                _without_weights("pytorch_model.bin", lambda _: _deflated(
                    "archive/data.pkl"))),
    HostileFile("tf_model.h5", "convert", "no model.safetensors",
                _without_weights("tf_model.h5", lambda _: b"\x89HDF\r\n")),
    HostileFile("a .h5 as input", "convert", "not opened",
                _file("weights.h5", b"\x89HDF\r\n")),
    HostileFile("a zip whose members climb out", "convert", "not opened",
                _file("model.zip", _zip)),
    HostileFile("a zip bomb", "convert", "not opened",
                _file("model.zip", lambda _: _deflated("model.safetensors"))),
    HostileFile("a tar whose members and links climb out", "convert",
                "not opened", _file("model.tar.gz", _tar)),
    HostileFile("model.safetensors, a link out of its folder", "convert",
                "a link to", _link("model.safetensors", "/etc/hostname")),
    HostileFile("vocab.txt, a link out of its folder", "convert", "a link to",
                _link("vocab.txt", "/etc/passwd")),
    HostileFile("config.json, a link to an endless device", "convert",
                "no plain file", _link("config.json", "/dev/zero")),
    HostileFile("config.json, a pipe nobody writes to", "convert",
                "no plain file", _pipe),
    # --- config.json ---
    HostileFile("config.json: 10^9 layers", "convert",
                "num_hidden_layers=1000000000",
                _hugging_face(num_hidden_layers=10**9)),
    HostileFile("config.json: -1 layers", "convert", "num_hidden_layers=-1",
                _hugging_face(num_hidden_layers=-1)),
    HostileFile("config.json: a string of code for a number", "convert",
                "hidden_size=",
                _hugging_face(hidden_size="__import__('os').system('id')")),
    HostileFile("config.json: NaN", "convert", "layer_norm_eps=nan",
                _hugging_face(layer_norm_eps=float("nan"))),
    HostileFile("config.json: a number of 10,000 digits", "convert", "no JSON",
                _hugging_face("config.json", _config_text(lambda text:
                              text.replace(": 12", ": " + "9" * 10_000)))),
    HostileFile("config.json: nested 100,000 deep", "convert", "no JSON",
                _hugging_face("config.json", _DEEP)),
    HostileFile("config.json of 8 GiB", "convert", "more than",
                _sparse_config),
    HostileFile("config.json with code to load (`auto_map`)", "open", None,
                _hugging_face("config.json", _remote_code)),
    HostileFile("tokenizer.json with an endless regular expression", "open",
                None, _hugging_face("tokenizer.json", _tokenizer_json)),
    # --- vocabularies ---
    HostileFile("vocab.txt: a line of 10 MB", "vocabulary",
                "10,000,000 characters",
                _file("vocab.txt", _SPECIAL + "a" * 10_000_000)),
    HostileFile("vocab.txt: NUL in a token", "vocabulary", "one of them NUL",
                _file("vocab.txt", _SPECIAL + "a\0b\n")),
    HostileFile("vocab.txt: a token twice", "vocabulary", "already on line",
                _file("vocab.txt", _SPECIAL + "a\na\n")),
    HostileFile("vocab.txt: a pickle", "vocabulary", "not UTF-8",
                _file("vocab.txt", lambda at: b"\x80\x04" + _pickle(at))),
    HostileFile("vocab.txt of 64 GiB", "vocabulary", "larger than",
                lambda at: _sparse(at.folder / "vocab.txt", 2**36)),
    HostileFile("vocab.json: nested 100,000 deep", "vocabulary", "no JSON",
                _pairs(_DEEP)),
    HostileFile("vocab.json: ids that go round", "vocabulary", "are not 0 to",
                _pairs('{"a": 0, "b": 18446744073709551616}')),
    # --- TensorFlow ---
    HostileFile("a checkpoint's index cut short", "convert", "can't be read",
                _checkpoint(_cut(".index", 40))),
    HostileFile("a checkpoint's index of noise", "convert", "can't be read",
                _checkpoint(_noise)),
    HostileFile("a checkpoint without its data", "convert", "can't be read",
                _checkpoint(_cut(".data-00000-of-00001", 0))),
    # --- runs ---
    HostileFile("params.yaml that calls a function", "convert", "params.yaml",
                _run(_apply)),
    HostileFile("params.yaml that calls a function", "run", "is refused",
                _run(_apply)),
    HostileFile("params.yaml: 10^9 layers", "run", "describes an encoder of",
                _huge_run),
    HostileFile("params.yaml of a billion laughs", "convert", "aliases stand",
                _run(_LAUGHS + "task: *a11\n")),
    HostileFile("params.yaml nested 100,000 deep", "convert", "params.yaml",
                _run("task: " + _DEEP)),
    HostileFile("params.yaml: a list for a name", "convert",
                "hidden_activation=",
                _run("task: {model: {encoder: {any: {norm_epsilon: 1.0e-12, "
                     "hidden_activation: [gelu]}}}}\n")),
    # --- configurations ---
    HostileFile("Gin that imports a module", "gin", "import of evil refused",
                _gin("import evil\n")),
    HostileFile("Gin that imports os", "gin", "import of os.path refused",
                _gin("import os.path\n")),
    HostileFile("Gin that includes from elsewhere", "gin", "refused",
                _gin("include '/etc/passwd'\n")),
    HostileFile("Gin that climbs out", "gin", "refused",
                _gin("include '../../../../../../../../etc/passwd'\n")),
    HostileFile("Gin that includes itself", "gin", "includes itself",
                _gin("include 'mine.gin'\n")),
    HostileFile("Gin that calls a function", "train", "",
                _gin("include 'experiments/bert.gin'\n"
                     "BATCH_SIZE = @os.system()\n")),
    HostileFile("Gin nested 100,000 deep", "gin", "not a Gin statement",
                _gin(f"a.b = {_DEEP}\n")),
    HostileFile("YAML that calls a function", "yaml", "is refused",
                _file("mine.yaml", _apply)),
    HostileFile("YAML that makes an object", "yaml", "is refused",
                _file("mine.yaml",
                      "task: !!python/object/new:subprocess.Popen [id]\n")),
    HostileFile("YAML of a billion laughs", "yaml", "aliases stand",
                _file("mine.yaml", _LAUGHS)),
    HostileFile("YAML that holds itself", "yaml", "mine.yaml",
                _file("mine.yaml", "a: &a [*a]\n")),
    HostileFile("YAML nested 100,000 deep", "yaml", "mine.yaml",
                _file("mine.yaml", f"a: {_DEEP}\n")),
    HostileFile("a schedule nested 100,000 deep", "schedule", "no token sched",
                _file("schedule.json", _DEEP)),
    # --- exports ---
    HostileFile("an export with another graph than its manifest says",
                "export", "another SHA-256", _export(
                    lambda x: (x / "saved_model.pb").write_bytes(b"grapf"))),
    HostileFile("an export with a file more", "export", "lists no such file",
                _export(lambda x: (x / "evil.so").write_bytes(b"\x7fELF"))),
    HostileFile("an export whose graph is a link elsewhere", "export",
                "a link", _export(_linked)),
    HostileFile("a manifest that lists a file elsewhere", "export", "missing",
                _export(_listed("../../../../etc/passwd"))),
    HostileFile("a manifest without digests", "export", "lists no files",
                _export(lambda x: (x / "manifest.json").write_text(
                    '{"files": {"saved_model.pb": []}}'))),
    HostileFile("a manifest nested 100,000 deep", "export", "no JSON",
                _export(lambda x: (x / "manifest.json").write_text(_DEEP))),
    # --- data ---
    HostileFile("shards whose manifest lists a file elsewhere", "shards",
                "not a plain file name",
                _file("manifest.json", '{"files": {"../../x": {}}}')),
    HostileFile("rows of JSON nested 100,000 deep", "text", "every row is",
                _file("a.jsonl", f"{_DEEP}\n{_DEEP}\n")),
    HostileFile("a .gz cut short", "text", "damaged after",
                _file("a.txt.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")),
)


def table() -> str:
  """The table of the page."""
  lines = ["| file | read by | refused with a line that says |",
           "|---|---|---|"]
  for row in FILES:
    says = {None: "read, nothing in it is run or opened"}.get(
        row.says, f"`{row.says}`" if row.says else "which line it is")
    lines.append(f"| {row.what} | {row.reader} | {says} |")
  return "\n".join(lines)
