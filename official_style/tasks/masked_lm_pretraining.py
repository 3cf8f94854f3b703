"""Masked-language-model pretraining: model, loss, metrics.

Axes: b batch, n tokens, p predictions a row, v vocabulary.
"""

import tensorflow as tf
import tf_keras
from official.core import base_task
from official.core import task_factory

from official_style.configs import encoders
from official_style.configs import pretraining
from official_style.modeling.layers import classification_head
from official_style.modeling.networks import masked_lm_pretrainer
from official_style.modeling.ops import token_importance
from official_style.tasks import weighted_sum


@task_factory.register_task_cls(pretraining.PretrainingTaskConfig)
class MaskedLMPretrainingTask(base_task.Task):
  """Model Garden's `MaskedLMTask` with sums where that takes means.

  A mean over a replica's share can't be combined without its weight; sums add
  up over micro-batches, replicas and workers, whatever padding each holds.
  Not its subclass: with it come all tasks of NLP, seconds of every start.
  """

  def build_model(self, params=None):
    """The encoder of the config with its heads, built."""
    config = params or self.task_config.model
    encoder = config.encoder.get().BUILDER(config.encoder.get())
    return masked_lm_pretrainer.MaskedLMPretrainer(
        encoder_network=encoder,
        mlm_activation=encoders.head_activation(config.mlm_activation),
        mlm_initializer=tf_keras.initializers.TruncatedNormal(
            stddev=config.mlm_initializer_range),
        mlm_norm_epsilon=config.mlm_norm_epsilon or None,
        classification_heads=[
            classification_head.ClassificationHead(**head.as_dict())
            for head in config.cls_heads or []])

  def build_inputs(self, params, input_context=None):
    """Model Garden's way to data; ours is `official_style.data`."""
    raise NotImplementedError("see official_style.data.pretraining_data")

  def trained_variables(self, model) -> list:
    """The variables the loss depends on, in order."""
    # The pooler has no part in it: heads read the sequence, as Model
    # Garden's do.
    pooler = {id(v) for v in getattr(
        model.encoder_network.pooler_layer, "variables", ())}
    return [v for v in model.trainable_variables if id(v) not in pooler]

  def normalizers(self, batch) -> dict:
    """float32 scalars: what losses are divided by, summed over replicas."""
    counts = dict(predictions=tf.reduce_sum(batch["masked_lm_weights"]))
    if "next_sentence_labels" in batch:
      counts["sentences"] = _real_rows(batch)
    return counts

  def objective(self, sums, normalizers) -> tf.Tensor:
    """The share of the loss that `sums` has in the whole global batch."""
    loss = sums["loss"] / tf.maximum(normalizers["predictions"], 1.0)
    if "sentences" in normalizers:
      loss += (sums["sentence_loss"]
               / tf.maximum(normalizers["sentences"], 1.0))
    return loss

  def sums(self, batch, outputs, vocab_size=None) -> dict:
    """Everything of a batch that adds up.

    Args:
      batch: dict with `masked_lm_ids` and `masked_lm_weights` of [b p],
        `input_mask` [b n], and `next_sentence_labels` [b 1] where they are
        predicted.
      outputs: of the model.
      vocab_size: v, to also get the loss of each id for the importance table.

    Returns:
      float32 scalars `loss` (sum of weighted cross entropies, nats),
      `correct`, `predictions` (sum of weights), `tokens` (not padding), with
      next-sentence prediction `sentence_loss`, `sentence_correct` and
      `sentences`; and `id_losses` [v 2] if asked for.
    """
    ids, weights = batch["masked_lm_ids"], batch["masked_lm_weights"]
    logits = tf.cast(outputs["mlm_logits"], tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)
    hits = tf.argmax(logits, axis=-1, output_type=ids.dtype) == ids
    sums = dict(
        loss=weighted_sum.of(losses, weights),
        correct=tf.reduce_sum(tf.cast(hits, tf.float32) * weights),
        predictions=tf.reduce_sum(weights),
        tokens=tf.reduce_sum(tf.cast(batch["input_mask"], tf.float32)))
    if "next_sentence_labels" in batch:
      sums |= self._sentence_sums(batch, outputs)
    if vocab_size is not None:
      sums["id_losses"] = token_importance.loss_sums(
          ids, tf.stop_gradient(losses), weights, vocab_size)
    return sums

  def _sentence_sums(self, batch, outputs):
    labels = tf.reshape(batch["next_sentence_labels"], [-1])
    logits = tf.cast(outputs["next_sentence"], tf.float32)
    real = tf.cast(batch["input_mask"][:, 0], tf.float32)  # [b]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    hits = tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels
    hits = tf.cast(hits, tf.float32)
    return dict(sentence_loss=tf.reduce_sum(losses * real),
                sentence_correct=tf.reduce_sum(hits * real),
                sentences=_real_rows(batch))

  @staticmethod
  def means(sums) -> dict:
    """What is reported, from sums over any number of batches.

    Returns:
      `mlm_loss` in nats a prediction, `mlm_accuracy`, with next-sentence
      prediction also `next_sentence_loss` and `next_sentence_accuracy`.
    """
    predictions = max(float(sums["predictions"]), 1.0)
    means = dict(mlm_loss=float(sums["loss"]) / predictions,
                 mlm_accuracy=float(sums["correct"]) / predictions)
    if "sentences" in sums:
      sentences = max(float(sums["sentences"]), 1.0)
      means["next_sentence_loss"] = float(sums["sentence_loss"]) / sentences
      means["next_sentence_accuracy"] = (
          float(sums["sentence_correct"]) / sentences)
    return means

  @staticmethod
  def describe(metrics) -> str:
    """What the live line shows of a window of training."""
    return (f"loss {metrics['mlm_loss']:.3f}  "
            f"accuracy {metrics['mlm_accuracy']:.3f}")

  @staticmethod
  def describe_evaluation(metrics) -> str:
    return (f"held-out loss {metrics['mlm_loss']:.4f}, "
            f"accuracy {metrics['mlm_accuracy']:.4f}")

  def example(self) -> dict:
    """A row that builds every variable of the model."""
    ids = tf.zeros([1, self.task_config.train_data.seq_length], tf.int32)
    return dict(input_word_ids=ids, input_mask=tf.ones_like(ids),
                input_type_ids=ids, masked_lm_positions=ids[:, :1])

  @property
  def metric_names(self) -> tuple[str, ...]:
    """What an evaluation gives."""
    names = ("mlm_loss", "mlm_accuracy")
    if self.task_config.validation_data.use_next_sentence_label:
      names += ("next_sentence_loss", "next_sentence_accuracy")
    return names


def _real_rows(batch):
  """float32[]: rows that are not padding as a whole."""
  return tf.reduce_sum(tf.cast(batch["input_mask"][:, 0], tf.float32))
