"""Sentences, what became of their tokens, and what their words decide."""

import dataclasses
from typing import Callable, Optional, Sequence

import numpy as np

from official_style.errors import UserError
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.modeling.networks import pyramidize
from official_style.reporting import leave_one_out
from official_style.reporting import predictions_shown
from official_style.reporting import row_words
from official_style.reporting import token_traces
from official_style.training import finished_run

_SELECTION = ("token_selector", "selection_place", "coreset_m",
              "coreset_metric", "merge_tokens", "proportional_attention")


@dataclasses.dataclass(frozen=True)
class Sentence:
  """One sentence, or pair.

  Attributes:
    trace: what became of its tokens.
    label: what is right, where that is known.
    prediction: of the model; None of a pretraining run.
    dense: what the same weights predict with all tokens; None where that is no
      other model.
    effects: of each word, where that was asked for.
  """
  trace: token_traces.TokenTrace
  label: Optional[str] = None
  prediction: Optional[predictions_shown.Prediction] = None
  dense: Optional[predictions_shown.Prediction] = None
  effects: Optional[leave_one_out.Effects] = None

  @property
  def deciding(self) -> Optional[row_words.Word]:
    """The word that the prediction hangs on most."""
    if self.effects is None or self.effects.deciding is None:
      return None
    return self.trace.row.written[self.effects.deciding]

  @property
  def change(self) -> float:
    """What leaving that word out changes."""
    return float(self.effects.changes[self.effects.deciding])


@dataclasses.dataclass(frozen=True)
class TokenReport:
  """Several sentences through one model.

  Attributes:
    title: the run, and what it does with tokens.
    method: how tokens are selected; empty where none are.
    absorption: what "stands for" means here; empty where nothing does.
    sentences: in order.
  """
  title: str
  method: str
  absorption: str
  sentences: tuple


def of(run: finished_run.FinishedRun, inputs: Sequence[tuple],
       labels: Sequence[Optional[str]] = (), with_effects: bool = True,
       batch_size: int = 32,
       show: Callable[[str], None] = lambda line: None) -> TokenReport:
  """Shows sentences to a model.

  Args:
    run: a run, see `token_traces` for which.
    inputs: a tuple of one or two texts each.
    labels: what is right, for each; empty where nobody knows.
    with_effects: whether to leave out each word of each.
    batch_size: rows of a batch.
    show: takes passing lines.

  Raises:
    UserError: for rows or runs that can't be shown.
  """
  if run.labels is None:
    traces = token_traces.trace_dropping(run, inputs)
    return TokenReport(
        run.title, _dropping(run.encoder), "",
        tuple(Sentence(trace) for trace in traces))
  show("predicting")
  traces = token_traces.trace(run, inputs, batch_size)
  method, dense = _selection(run.encoder), None
  if method:
    length = (run.seq_length,) * traces[0].num_layers
    dense = run.with_encoder(pyramidize.pyramidize(
        run.encoder, token_schedule=length)).predict(
            [(texts,) for texts in inputs], batch_size)
  effects = leave_one_out.effects(
      run, [trace.row for trace in traces], batch_size,
      show) if with_effects else [None] * len(traces)
  sentences = []
  for i, trace in enumerate(traces):
    sentences.append(Sentence(
        trace, labels[i] if labels else None,
        predictions_shown.of(trace.logits, run.labels),
        None if dense is None else predictions_shown.of(dense[i], run.labels),
        effects[i]))
  return TokenReport(
      run.title, method, _absorption(run.encoder), tuple(sentences))


def faster(run: finished_run.FinishedRun,
           speedup: float) -> finished_run.FinishedRun:
  """The run off the shelf at another speed, with its own selector if any.

  Raises:
    UserError: for a speed-up it can't have.
  """
  if run.labels is None:
    raise UserError("--speedup: for fine-tuned runs; a pretraining run is "
                    "shown as it drops tokens itself")
  config = run.encoder.get_config()
  settings = {name: config[name] for name in _SELECTION if name in config}
  try:
    return run.with_encoder(pyramidize.pyramidize(
        run.encoder, speedup, run.seq_length, **settings))
  except ValueError as error:
    raise UserError(f"--speedup={speedup}: {error}") from error


def _selection(encoder) -> str:
  """How an encoder selects tokens for good."""
  if not isinstance(encoder, pyramid_bert_encoder.PyramidBertEncoder):
    return ""
  config = encoder.get_config()
  words = [f"keeps {' '.join(map(str, encoder.token_schedule))} tokens by "
           f"{config['token_selector']}", config["selection_place"]]
  for name in ("merge_tokens", "proportional_attention",
               "retention_relative"):
    if config[name]:
      words.append(name)
  return ", ".join(words)


def _absorption(encoder) -> str:
  if not isinstance(encoder, pyramid_bert_encoder.PyramidBertEncoder):
    return ""
  config = encoder.get_config()
  name = config["token_selector"]
  if name in ("average_pool", "bipartite_merge"):
    return (f"the token that {name} merged it into")
  if name == "coreset":
    return "the nearest of the kept tokens, its center in the core-set"
  return (f"the nearest kept state where tokens are selected; {name} itself "
          "names none")


def _dropping(encoder) -> str:
  config = encoder.get_config()
  skipped = [i + 1 for i, role in enumerate(encoder.plan.roles)
             if role != "full"]
  return (f"token dropping by {config['token_strategy']}: layers "
          f"{skipped[0]} to {skipped[-1]} work on the kept tokens only, and "
          "then all come back")


# ---------------------------------------------------------------------------
# Several sentences together
# ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class KindSummary:
  """One kind of word.

  Attributes:
    kind: one of `row_words.KINDS`.
    count: words of it.
    read_at_last: share that the last layer looks at.
    depth: mean number of layers that worked on it.
  """
  kind: str
  count: int
  read_at_last: float
  depth: float


def by_kind(report: TokenReport) -> list[KindSummary]:
  """A line for each kind of word there is."""
  found = {}
  for sentence in report.sentences:
    for word in sentence.trace.row.words:
      found.setdefault(word.kind, []).append((
          sentence.trace.word_dropped_in(word) is None,
          sentence.trace.depth(word)))
  return [KindSummary(kind, len(found[kind]), *np.mean(found[kind], axis=0))
          for kind in row_words.KINDS if kind in found]


def content_share(report: TokenReport) -> Optional[float]:
  """Share of the content words that the last layer looks at."""
  kept = [sentence.trace.word_dropped_in(word) is None
          for sentence in report.sentences
          for word in sentence.trace.row.words
          if word.kind in row_words.CONTENT]
  return float(np.mean(kept)) if kept else None


@dataclasses.dataclass(frozen=True)
class DecidingSummary:
  """Sentences whose deciding word was dropped in one layer.

  Attributes:
    layer: from 1; None for those whose word is read at last.
    count: sentences.
    agreement: share that the dense model predicts the same for; None for
      numbers, or without one.
    accuracy: share that is right; None where labels aren't known.
    dense_accuracy: of the dense model for the same sentences.
  """
  layer: Optional[int]
  count: int
  agreement: Optional[float]
  accuracy: Optional[float]
  dense_accuracy: Optional[float]


def by_deciding_layer(report: TokenReport) -> list[DecidingSummary]:
  """A line for each layer that dropped a deciding word, and one for the rest.

  Sentences in which no word decides are left out.
  """
  groups = {}
  for sentence in report.sentences:
    if sentence.deciding is not None:
      layer = sentence.trace.word_dropped_in(sentence.deciding)
      groups.setdefault(layer, []).append(sentence)
  order = sorted(groups, key=lambda layer: (layer is None, layer))
  return [summary_of(groups[layer], layer) for layer in order]


def summary_of(sentences, layer=None) -> DecidingSummary:
  """How a group of sentences fares."""
  def share(pairs):
    pairs = [(a, b) for a, b in pairs if a is not None and b is not None]
    return float(np.mean([a == b for a, b in pairs])) if pairs else None

  classes = [s for s in sentences
             if s.prediction is not None and not s.prediction.is_number]
  dense = [s.dense.name if s.dense else None for s in classes]
  said = [s.prediction.name for s in classes]
  labels = [s.label for s in classes]
  return DecidingSummary(
      layer, len(sentences), share(zip(said, dense)), share(zip(said, labels)),
      share(zip(dense, labels)))
