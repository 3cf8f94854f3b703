"""A folder of token ids, made once from text and memory-mapped for training.

    folder/manifest.json           counts, digests, unigram baseline
    folder/{train,eval}/tokens.bin     ids, little-endian uint16 or uint32
    folder/{train,eval}/documents.npy  int64[d+1], where each document starts

Imports no TensorFlow. Letters: d documents, t tokens, v vocabulary size.
"""

import dataclasses
import functools
import hashlib
import json
import os

import numpy as np

from official_style.errors import UserError

FORMAT = "official_style.token_store"
VERSION = 1
SPLITS = ("train", "eval")
MANIFEST = "manifest.json"
TOKENS = "tokens.bin"
DOCUMENTS = "documents.npy"


@dataclasses.dataclass(frozen=True)
class TokenStore:
  """One split of a token store, read through memory maps.

  Attributes:
    tokens: uint16[t] or uint32[t], the documents one after another.
    offsets: int64[d+1]; document i is `tokens[offsets[i]:offsets[i + 1]]`.
    manifest: dict, the manifest of the whole store.
    split: "train" or "eval".
  """
  tokens: np.ndarray
  offsets: np.ndarray
  manifest: dict
  split: str

  @property
  def num_documents(self):
    return len(self.offsets) - 1

  @property
  def num_tokens(self):
    return len(self.tokens)

  def document(self, index):
    """Returns the ids of a document, int32[...]."""
    start, end = self.offsets[index:index + 2]
    return self.tokens[start:end].astype(np.int32)

  def describe(self):
    """Returns one line for a human."""
    counts = self.manifest["splits"][self.split]
    unknown = counts["unknown_tokens"] / max(counts["tokens"], 1)
    return (f"{self.split}: {self.num_documents} documents, "
            f"{self.num_tokens} tokens, {unknown:.2%} unknown, sha256 "
            f"{counts['tokens_sha256'][:12]}")


def open_token_store(folder, split, vocabulary=None, verify=False):
  """Opens one split of a store that `build_token_store` wrote.

  Args:
    folder: the folder.
    split: "train" or "eval".
    vocabulary: if given, the `Vocabulary` the ids must have been made with.
    verify: also read everything and compare digests.

  Returns:
    A `TokenStore`; nothing of it is in memory yet. A split without documents
    gives a store of length 0.

  Raises:
    UserError: a file is missing, damaged or of another size than the manifest
      says, or the vocabulary is another one.
  """
  folder = os.fspath(folder)
  if split not in SPLITS:
    raise UserError(f"{folder}: no split {split!r}; splits are train and eval")
  manifest = read_manifest(folder)
  counts = manifest["splits"][split]
  made_with = manifest["vocabulary"]["sha256"]
  if vocabulary is not None and vocabulary.sha256 != made_with:
    raise UserError(
        f"{folder}: made with vocabulary {made_with[:12]}, but the one given "
        f"is {vocabulary.sha256[:12]}; give that vocabulary or build the "
        "store again")
  tokens_path = os.path.join(folder, split, TOKENS)
  documents_path = os.path.join(folder, split, DOCUMENTS)
  dtype = np.dtype(manifest["dtype"]).newbyteorder("<")
  _check_size(tokens_path, counts["tokens"] * dtype.itemsize)
  try:
    # An empty file cannot be mapped.
    tokens = (np.memmap(tokens_path, dtype, mode="r") if counts["tokens"]
              else np.zeros([0], dtype))
    offsets = np.load(documents_path, mmap_mode="r", allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise _damaged(documents_path, str(error)) from error
  if (offsets.dtype != np.int64 or offsets.shape != (counts["documents"] + 1,)
      or offsets[0] != 0 or offsets[-1] != counts["tokens"]):
    raise _damaged(documents_path, "it disagrees with the manifest")
  if verify:
    for path, key in ((tokens_path, "tokens_sha256"),
                      (documents_path, "documents_sha256")):
      if file_sha256(path) != counts[key]:
        raise _damaged(path, "its sha256 is not that of the manifest")
  return TokenStore(tokens, offsets, manifest, split)


def read_manifest(folder):
  """Reads the manifest of a store.

  Args:
    folder: the folder of the store.

  Returns:
    dict.

  Raises:
    UserError: there is none, or it is not one of ours.
  """
  path = os.path.join(folder, MANIFEST)
  try:
    with open(path, encoding="utf-8") as file:
      manifest = json.load(file)
  except OSError as error:
    raise UserError(f"{path}: cannot read ({error.strerror}); this is not a "
                    "token store, build one") from error
  except (ValueError, RecursionError) as error:
    raise _damaged(path, "it is not JSON") from error
  found = (manifest.get("format"), manifest.get("version")) if isinstance(
      manifest, dict) else None
  if found != (FORMAT, VERSION):
    raise UserError(f"{path}: not a token store of version {VERSION} "
                    f"(found {found}); build the store again")
  return manifest


def corpus_fingerprint(paths):
  """Digests the names, sizes and contents of files, as the key of a cache.

  Args:
    paths: the files. Only their names relative to their common folder count,
      so that moving the folder changes nothing; nor does their order.

  Returns:
    A sha256 hex digest.

  Raises:
    UserError: a file cannot be read.
  """
  absolute = sorted(map(os.path.abspath, paths))
  common = os.path.commonpath(map(os.path.dirname, absolute)) if paths else ""
  digest = hashlib.sha256()
  for path in absolute:
    try:
      entry = [os.path.relpath(path, common).replace(os.sep, "/"),
               os.path.getsize(path), file_sha256(path)]
    except OSError as error:
      raise UserError(f"{path}: cannot read ({error.strerror}); check the "
                      "input path") from error
    digest.update(json.dumps(entry).encode() + b"\n")
  return digest.hexdigest()


def file_sha256(path):
  """Returns the sha256 hex digest of a file, read in pieces."""
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    for piece in iter(functools.partial(file.read, 1 << 20), b""):
      digest.update(piece)
  return digest.hexdigest()


def _check_size(path, expected):
  try:
    size = os.path.getsize(path)
  except OSError as error:
    raise _damaged(path, error.strerror) from error
  if size != expected:
    raise _damaged(path, f"it has {size} bytes, the manifest says {expected}")


def _damaged(path, why):
  return UserError(f"{path}: the token store is damaged ({why}); delete its "
                   "folder and build it again")
