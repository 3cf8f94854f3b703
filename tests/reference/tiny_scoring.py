"""An export to score with that holds no graph, and a model that is a sum."""

import numpy as np

from official_style.data import vocabulary
from official_style.serving import export_manifest
from official_style.serving.scoring import refused_rows
from official_style.serving.scoring import scoring
from official_style.serving.scoring import scoring_job

WORDS = [*vocabulary.BERT_SPECIAL_TOKENS, *"a good bad film is not , .".split(),
         *"bcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnop"
                                         "qrstuvwxyz")]
BUCKETS = (8, 16)
_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_KINDS = dict(
    classes=(dict(kind="class", names=["bad", "good"], mean=0.0, scale=1.0),
             ("label", "probabilities", "logits")),
    number=(dict(kind="number", names=[], mean=10.0, scale=2.0),
            ("score", "logits")),
    choice=(dict(kind="choice", names=["0", "1"], mean=0.0, scale=1.0),
            ("label", "probabilities", "logits")),
    vectors=(None, ("mean", "cls")))


def export(folder, kind="classes", is_pair=False, weight=b"1") -> str:
  """A folder as `savedmodel_export` writes it, as far as scoring reads it."""
  labels, outputs = _KINDS[kind]
  extra = folder / "assets.extra"
  extra.mkdir(parents=True)
  words = vocabulary.Vocabulary(WORDS, lower_case=True)
  words.save(extra / "vocab.txt")
  (folder / "saved_model.pb").write_bytes(weight)
  export_manifest.write(str(folder), dict(
      labels=labels, is_pair=is_pair, seq_length=BUCKETS[-1],
      buckets=list(BUCKETS),
      signatures={name: dict(
          inputs=dict.fromkeys(_INPUTS), outputs=dict.fromkeys(outputs))
                  for name in ("ids", "ids_2x")},
      vocabulary=dict(sha256=words.sha256, lower_case=True,
                      pair_separators=1)))
  return str(folder)


class Model:
  """What gives a row the more, the more and the higher ids it has.

  Args:
    refused: rows with this id are refused.
    broken: rows with this id get an answer that is no number.
  """

  def __init__(self, kind="classes", refused=-1, broken=-1):
    self._kind, self._refused, self._broken = kind, refused, broken
    self.shapes = []

  def __call__(self, inputs):
    ids = inputs["input_word_ids"]
    assert ids.shape[1] in BUCKETS
    self.shapes.append(ids.shape)
    if (ids == self._refused).any():
      raise refused_rows.RefusedRowsError("not this\tword\n")
    total = (ids * inputs["input_mask"] * (1 + inputs["input_type_ids"])).sum(1)
    good = (total % 97 / 97).astype(np.float32)
    good[(ids == self._broken).any(1)] = np.nan
    if self._kind == "vectors":
      return dict(mean=np.stack([good, -good, 1e-9 - 0 * good], 1))
    if self._kind == "number":
      return dict(score=10 * good)
    names = np.where(good > 0.5, b"good", b"bad").astype(object)
    return dict(label=names, probabilities=np.stack([1 - good, good], 1))


def use(monkeypatch, model):
  """Takes a model in place of what is in the folder."""
  monkeypatch.setattr(scoring_job.ScoringJob, "open_predictor",
                      lambda job, num_threads=1: model)
  return model


def score(paths, folder, output, **more) -> dict:
  """Scores; parts are of 10 rows, batches of 4 short rows."""
  options = dict(rows_per_part=10, batch_tokens=32, max_batch_rows=8)
  return scoring.score(scoring.ScoringOptions(
      tuple(map(str, paths)), str(folder), str(output), **(options | more)))


def texts(count: int, seed: int = 0) -> list[str]:
  """Texts of 1 to 20 words."""
  draw = np.random.default_rng(seed)
  words = np.array("a good bad film is not cab fed".split())
  return [" ".join(draw.choice(words, draw.integers(1, 21)))
          for _ in range(count)]


def contents(folder) -> dict:
  """Bytes of all files but the lock, by their names."""
  return {str(path.relative_to(folder)): path.read_bytes()
          for path in sorted(folder.rglob("*"))
          if path.is_file() and path.name != "lock"}
