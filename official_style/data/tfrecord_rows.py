"""Rows of a fixed length from TFRecord files of tf.Examples."""

import glob
import os

import numpy as np
import tensorflow as tf

from official_style.data import record_index
from official_style.data import shard_manifest
from official_style.errors import UserError

_KINDS = {tf.int64: 'int64_list', tf.float32: 'float_list'}
_V1_NAMES = {'input_word_ids': 'input_ids', 'input_type_ids': 'segment_ids'}
_LABELS = ('masked_lm_positions', 'masked_lm_ids', 'masked_lm_weights')
_TYPES = 2  # segments A and B


class TFRecordRows:
  """A row source over TFRecord files, read in any order.

  The first record tells which of two kinds of records the files hold:

  * those of `tf-models-official` (`create_pretraining_data.py`), whose masks
    were drawn when they were written: the original ids are put back, so that
    masks can be drawn anew;
  * unmasked ones, such as our own packed rows with `document_ids`.

  Without `document_ids` a row is one document, or, where `position_ids` are
  used, one document for each time they restart at 0. Opening the files reads
  all of them once: any damage is found before the first step, see
  `record_index.py`, and a `manifest.json` beside them is held against them.

  Letters: b rows, n `seq_length`, p prediction slots in the records, v
  vocabulary size.

  Args:
    paths: files or glob patterns; a list, or one string with commas.
    seq_length: length of the rows in the files.
    vocabulary: gives `size`, the vocabulary the records were made with.
    use_v2_feature_names: `input_word_ids`, `input_type_ids` instead of
      `input_ids`, `segment_ids`.
    use_next_sentence_label: whether to read `next_sentence_labels`.
    use_position_id: whether to read `position_ids`. Records that have
      `document_ids` need them, and they are always read there.

  Raises:
    UserError: if a file is missing, damaged or not a TFRecord file, if it
      differs from its manifest, or if its first record does not fit.
  """

  def __init__(self, paths, seq_length, vocabulary, *,
               use_v2_feature_names=True, use_next_sentence_label=False,
               use_position_id=False):
    self.seq_length = seq_length
    self._vocabulary = vocabulary
    self._names = {} if use_v2_feature_names else dict(_V1_NAMES)
    self._use_next_sentence_label = use_next_sentence_label
    paths = _expand(paths)
    shard_manifest.check_present(paths)
    self._files = shard_manifest.index_all(paths)
    self._num_checked = shard_manifest.check_indices(self._files)
    shard_manifest.check_vocabulary(paths, vocabulary)
    records = np.array([len(file.offsets) for file in self._files])
    self._last = np.cumsum(records)
    self._first = self._last - records
    self.num_rows = int(self._last[-1])

    first = self._example(0).features.feature
    self.has_masks = _LABELS[0] in first
    self._has_documents = 'document_ids' in first
    self._ignores_positions = (
        'position_ids' in first and not use_position_id
        and not self._has_documents)
    self._features = self._choose_features(
        first, use_position_id or self._has_documents)
    self.rows(np.zeros(1, np.int64))  # fail now rather than at some step

  def _choose_features(self, first, use_positions):
    """Returns {our name: (shape, dtype, lowest, end)} of what is read."""
    n, v = self.seq_length, self._vocabulary.size
    features = {
        'input_word_ids': ([n], tf.int64, 0, v),
        'input_type_ids': ([n], tf.int64, 0, _TYPES),
    }
    if not self._has_documents:
      features['input_mask'] = ([n], tf.int64, 0, 2)
    else:
      features['document_ids'] = ([n], tf.int64, 0, n + 1)
    if use_positions:
      features['position_ids'] = ([n], tf.int64, 0, n)
    if self.has_masks:
      p = max(1, len(first[_LABELS[0]].int64_list.value))
      features['masked_lm_positions'] = ([p], tf.int64, 0, n)
      features['masked_lm_ids'] = ([p], tf.int64, 0, v)
      features['masked_lm_weights'] = ([p], tf.float32, 0, np.inf)
    if self._use_next_sentence_label:
      features['next_sentence_labels'] = ([1], tf.int64, 0, 2)
    return features

  def rows(self, indices):
    """Reads rows.

    Args:
      indices: int64[b], each in [0, num_rows).

    Returns:
      `input_word_ids` (original ids), `input_type_ids`, `document_ids`,
      `position_ids`, each int32[b n]; `next_sentence_labels` int32[b 1] if
      used.

    Raises:
      UserError: naming file, record and feature, if a record does not fit.
    """
    indices = np.asarray(indices, np.int64)
    parsed = self._parse(indices)
    self._check_values(parsed, indices)
    word_ids = parsed['input_word_ids'].astype(np.int32)
    if self.has_masks:
      row, slot = np.nonzero(parsed['masked_lm_weights'] > 0)
      position = parsed['masked_lm_positions'][row, slot]
      word_ids[row, position] = parsed['masked_lm_ids'][row, slot]
    documents = parsed.get('document_ids')
    positions = parsed.get('position_ids')
    if documents is None:
      documents = parsed['input_mask']
      if positions is not None:
        documents = _documents_of(positions, documents > 0)
    present = documents > 0
    if positions is None:
      positions = np.broadcast_to(np.arange(self.seq_length), present.shape)
    rows = {
        # The files may pad with another id than the vocabulary's.
        'input_word_ids': np.where(present, word_ids, self._vocabulary.pad_id),
        'input_type_ids': parsed['input_type_ids'] * present,
        'document_ids': documents,
        'position_ids': positions * present,
    }
    if self._use_next_sentence_label:
      rows['next_sentence_labels'] = parsed['next_sentence_labels']
    return {name: value.astype(np.int32) for name, value in rows.items()}

  def _locate(self, row):
    """Returns the file of a row and the record's number in it."""
    file = int(np.searchsorted(self._last, row, side='right'))
    return self._files[file], int(row - self._first[file])

  def _example(self, row):
    file, number = self._locate(row)
    example = tf.train.Example()
    try:
      example.ParseFromString(record_index.read_record(file, number))
    except Exception as error:  # the protobuf runtimes raise different ones
      if isinstance(error, UserError):
        raise
      raise UserError(
          f'{file.path}, record {number} is not a tf.Example. Give files of '
          'tf.Examples for masked language modelling.') from error
    return example

  def _parse(self, indices):
    """Returns {our name: NumPy array} of the records, not yet checked."""
    spec = {self._names.get(name, name): tf.io.FixedLenFeature(shape, dtype)
            for name, (shape, dtype, *_) in self._features.items()}
    records = [record_index.read_record(*self._locate(row)) for row in indices]
    try:
      with tf.device('CPU:0'):
        parsed = tf.io.parse_example(
            tf.constant(records, tf.string, [len(records)]), spec)
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
      # UnicodeDecodeError: TensorFlow quotes a record that is not text.
      for row in indices:
        self._check_layout(row)
      raise
    return {name: parsed[self._names.get(name, name)].numpy()
            for name in self._features}

  def _check_layout(self, row):
    """Raises UserError if a feature of the record is not what is read."""
    features = self._example(row).features.feature
    file, number = self._locate(row)
    where = f'{file.path}, record {number}'
    for ours, (shape, dtype, *_) in self._features.items():
      name = self._names.get(ours, ours)
      if name not in features:
        has = ', '.join(sorted(features)) or 'none at all'
        raise UserError(f'{where} has no feature {name!r}; it has {has}. '
                        f'{self._hint(ours, features)}')
      kind = features[name].WhichOneof('kind')
      if kind != _KINDS[dtype]:
        raise UserError(f'{where}, feature {name!r} is a {kind}, and must be '
                        f'a {_KINDS[dtype]}. Write the records again.')
      length = len(getattr(features[name], kind).value)
      if length != shape[0]:
        mend = 'Write the records again'
        if name not in (*_LABELS, 'next_sentence_labels'):
          mend = f'Set seq_length to {length}, or write the records again'
        raise UserError(f'{where}, feature {name!r} has {length} values, and '
                        f'must have {shape[0]}. {mend}.')

  def _hint(self, name, features):
    other = name if self._names else _V1_NAMES.get(name)
    if name in _V1_NAMES and other in features:
      return f'Set use_v2_feature_names={bool(self._names)}.'
    if name == 'next_sentence_labels':
      return 'Set use_next_sentence_label=False.'
    if name == 'position_ids' and not self._has_documents:
      return 'Set use_position_id=False.'
    return 'Give records for masked language modelling, all of one kind.'

  def _check_values(self, parsed, indices):
    for ours, (_, _, lowest, end) in self._features.items():
      values = parsed[ours]
      if not values.size or (values.min() >= lowest and values.max() < end):
        continue
      row, place = np.argwhere(~((values >= lowest) & (values < end)))[0]
      file, number = self._locate(indices[row])
      hint = 'Write the records again.'
      if ours in ('input_word_ids', 'masked_lm_ids'):
        hint = ('The records were made with another vocabulary: give that one,'
                ' or write them again with this one.')
      raise UserError(
          f'{file.path}, record {number}, feature '
          f'{self._names.get(ours, ours)!r}: value {values[row, place]} at '
          f'{place} is outside [{lowest}, {end}). {hint}')

  def manifest(self):
    """Returns which files the rows come from, ready for JSON."""
    return {
        'kind': self._kind(),
        'seq_length': self.seq_length,
        'rows': self.num_rows,
        'records_refused': 0,  # a record that does not fit stops the run
        'files': {file.path: file.facts() for file in self._files},
        'files_in_a_manifest': self._num_checked,
        'features': [self._names.get(name, name) for name in self._features],
    }

  def _kind(self):
    if self.has_masks:
      return 'masked records, original ids restored'
    return 'packed records' if self._has_documents else 'unmasked records'

  def describe(self):
    """Returns one line for a human."""
    parts = [f'{self.num_rows:,} rows of {self.seq_length} from '
             f'{len(self._files):,} TFRecord files, {self._kind()}']
    if self._num_checked < len(self._files):
      parts.append(f'{len(self._files) - self._num_checked:,} files are in no '
                   'manifest.json: missing records would go unnoticed')
    if self._ignores_positions:
      parts.append('their position_ids are not used (use_position_id=False)')
    return '; '.join(parts)


def _documents_of(positions, present):
  """Numbers the documents of packed rows from 1: each position 0 begins one."""
  begins = present & (positions == 0)
  # A row whose first document does not begin at 0 still has a document 1.
  begins[:, 0] |= present[:, 0]
  return np.cumsum(begins, axis=1) * present


def _expand(paths):
  """Returns the sorted files that the paths and patterns stand for."""
  if isinstance(paths, (str, os.PathLike)):
    paths = os.fspath(paths).split(',')
  found = set()
  for path in map(os.fspath, paths):
    path = os.path.expanduser(path.strip())
    matches = [path] if os.path.isfile(path) else glob.glob(path)
    matches = [match for match in matches if os.path.isfile(match)]
    if not matches:
      mend = 'Check the path; patterns are those of a shell'
      if os.path.isdir(path):
        pattern = os.path.join(glob.escape(path), 'train-*')
        if not glob.glob(pattern):
          pattern = os.path.join(path, '*.tfrecord')
        mend = f'It is a folder; give {pattern!r}'
      raise UserError(f'No file matches {path!r}. {mend}.')
    found.update(matches)
  if not found:
    raise UserError('No TFRecord file is given. Name at least one.')
  return sorted(found)
