"""Pretraining beside a teacher: what is learnt of it, and metrics.

Bort (de Wynter and Perry, 2020, https://arxiv.org/abs/2010.10499) mixes
0.1 MLM + 0.5 T^2 KL at the masked positions, T = 2. The teacher is frozen, sees
all tokens, drops nothing out, and is no part of the student's checkpoint.

Axes: b batch, n tokens, p predictions a row, v vocabulary, d width.
"""

import tensorflow as tf
import tf_keras
from official.core import task_factory

from official_style.configs import distillation as configs
from official_style.errors import UserError
from official_style.modeling.ops import attention_relations
from official_style.modeling.ops import hidden_state_distance
from official_style.modeling.ops import kl_divergence
from official_style.modeling.ops import truncated_distribution
from official_style.tasks import masked_lm_pretraining
from official_style.tasks import weighted_sum

# What each part of the loss adds up to, by its name in `DistillationConfig`.
_SUMS = dict(logits="teacher_divergence", hidden="hidden_distance",
             relations="relations_divergence",
             attention="attention_divergence")


@task_factory.register_task_cls(configs.DistillationTaskConfig)
class DistillationTask(masked_lm_pretraining.MaskedLMPretrainingTask):
  """Masked-LM pretraining that learns from a teacher too.

  A student that drops tokens has all of them back in its last layer, and only
  there is it compared, unless `hidden_layers` says so: of a layer in between,
  the states it has are compared with the teacher's at the same positions.
  """

  def __init__(self, params, **kwargs):
    super().__init__(params, **kwargs)
    self._teacher, self._relation_heads = None, 0
    # By layer of the student: the teacher's, and a projection if it is wider.
    self._layers, self._projections = {}, {}

  @property
  def _config(self) -> configs.DistillationConfig:
    return self.task_config.distillation

  @property
  def wants_teacher(self) -> bool:
    """Whether `take_teacher` has to be called before training."""
    return self._config.needs_teacher

  def take_teacher(self, teacher, model):
    """Sets the teacher, and makes what its states are compared through.

    Args:
      teacher: a built `MaskedLMPretrainer`.
      model: the student, built. Projections are made in the scope this is
        called in.

    Raises:
      UserError: if what is to be compared can't be.
    """
    config, self._teacher = self._config, teacher
    ours, theirs = (m.encoder_network.get_config() for m in (model, teacher))
    heads, widths = ([x[name] for x in (ours, theirs)] for name in (
        "num_attention_heads", "hidden_size"))
    if config.attention_weight and heads[0] != heads[1]:
      raise UserError(
          f"task.distillation.attention_weight={config.attention_weight}: the "
          f"student has {heads[0]} heads and the teacher {heads[1]}: use "
          "task.distillation.relations_weight, which may differ in them")
    self._relation_heads = config.relation_heads or heads[0]
    for width in widths if config.relations_weight else ():
      if width % self._relation_heads:
        raise UserError(
            f"task.distillation.relation_heads={self._relation_heads}: must "
            "divide the student's width and the teacher's, "
            f"{widths[0]} and {widths[1]}")
    layers = config.hidden_layers or (ours["num_layers"],)
    # The teacher's layer at the same share of its depth, rounded.
    self._layers = {layer: max(1, (
        2 * layer * theirs["num_layers"] + ours["num_layers"])
        // (2 * ours["num_layers"])) for layer in layers} if (
            config.hidden_weight) else {}
    if widths[0] != widths[1]:
      self._projections = {
          layer: _projection(layer, *widths, ours["initializer"])
          for layer in self._layers}

  @property
  def checkpoint_items(self) -> dict:
    """What a run saves to go on, besides its model."""
    return {f"hidden_projection_{layer}": dense
            for layer, dense in self._projections.items()}

  def trained_variables(self, model) -> list:
    return super().trained_variables(model) + [
        v for dense in self._projections.values()
        for v in dense.trainable_variables]

  def train_outputs(self, model, batch, token_keep_k=None) -> dict:
    """The student's outputs, and under `teacher` what it is to learn.

    That is the teacher's outputs, or of a cache a `Truncated`.
    """
    if not self._config.is_on:
      return model(batch, training=True, token_keep_k=token_keep_k)
    outputs = self._outputs(
        model, batch, _num_layers(model) in self._layers,
        training=True, token_keep_k=token_keep_k)
    if self._teacher is None:
      outputs["teacher"] = truncated_distribution.Truncated(
          batch["teacher_ids"], batch["teacher_log_probs"],
          batch["teacher_tails"])
      return outputs
    outputs["teacher"] = tf.nest.map_structure(tf.stop_gradient, self._outputs(
        self._teacher, batch,
        _num_layers(self._teacher) in self._layers.values(), training=False))
    return outputs

  def _outputs(self, model, batch, reads_last_layer, **arguments):
    """Of a model, and of its last layer what is compared besides."""
    outputs = words(model, batch, self._config.positions, reads_last_layer,
                    **arguments)
    if self._config.relations_weight or self._config.attention_weight:
      block = model.encoder_network.transformer_layers[-1]
      outputs["queries_keys_values"] = block.queries_keys_values(
          outputs["last_layer_inputs"])
    return outputs

  def normalizers(self, batch) -> dict:
    counts = super().normalizers(batch)
    if self._config.is_on:
      counts["tokens"] = tf.reduce_sum(
          tf.cast(batch["input_mask"], tf.float32))
    return counts

  def objective(self, sums, normalizers) -> tf.Tensor:
    """Its parts are means over positions: words over those compared, all
    else over those that are no padding."""
    loss = super().objective(sums, normalizers)
    config = self._config
    if not config.is_on:
      return loss
    total = tf.zeros([])
    for part, name in _SUMS.items():
      if weight := getattr(config, f"{part}_weight"):
        of_words = part == "logits" and config.positions == "masked"
        count = normalizers["predictions" if of_words else "tokens"]
        total += weight * sums[name] / tf.maximum(count, 1.0)
    return config.mlm_weight * loss + config.weight * total

  def sums(self, batch, outputs, vocab_size=None) -> dict:
    """As plain pretraining's, and what is compared with the teacher."""
    sums = super().sums(batch, outputs, vocab_size)
    if "teacher" not in outputs:
      return sums
    config, real = self._config, tf.cast(batch["input_mask"], tf.float32)
    if config.logits_weight:
      sums |= self._word_sums(batch, outputs, real)
    if config.hidden_weight:
      sums["hidden_distance"] = self._hidden_sum(outputs, real)
    if config.relations_weight or config.attention_weight:
      sums |= self._relation_sums(batch, outputs, real)
    return sums

  def _word_sums(self, batch, outputs, real):
    """Divergence and agreement of words, and how many are compared."""
    config, teacher = self._config, outputs["teacher"]
    name, weights = "mlm_logits", batch["masked_lm_weights"]
    if config.positions == "all":
      name, weights = "all_logits", real
    logits = outputs[name]
    if isinstance(teacher, truncated_distribution.Truncated):
      losses = truncated_distribution.truncated_kl_divergence(
          logits, teacher, config.temperature)
      said = teacher.ids[..., 0]
    else:
      losses = kl_divergence.kl_divergence(
          logits, teacher[name], config.temperature)
      said = tf.argmax(teacher[name], axis=-1, output_type=tf.int32)
    agreed = tf.argmax(logits, axis=-1, output_type=tf.int32) == said
    return dict(
        teacher_divergence=weighted_sum.of(losses, weights),
        compared=tf.reduce_sum(weights), teacher_agreement=tf.reduce_sum(
            tf.cast(agreed, tf.float32) * weights))

  def _hidden_sum(self, outputs, real):
    """Distance of states, the mean over layers, at positions both have."""
    total = tf.zeros([])
    for ours, theirs in self._layers.items():
      states = outputs["encoder_outputs"][ours - 1]
      targets = outputs["teacher"]["encoder_outputs"][theirs - 1]
      weights = real
      if states.shape[1] != targets.shape[1]:
        kept = outputs["kept_positions"][ours - 1]
        targets, weights = (tf.gather(x, kept, batch_dims=1)
                            for x in (targets, real))
        # Those kept stand for the whole row: a mean over fewer positions is as
        # large, however many are dropped.
        weights *= (tf.reduce_sum(real, axis=1, keepdims=True) / tf.maximum(
            tf.reduce_sum(weights, axis=1, keepdims=True), 1.0))
      if ours in self._projections:
        states = self._projections[ours](states)
      total += weighted_sum.of(hidden_state_distance.hidden_state_distance(
          states, targets, self._config.hidden_distance), weights)
    return total / len(self._layers)

  def _relation_sums(self, batch, outputs, real):
    """Divergences of relations and of attention, all tokens in the layer."""
    config, sums = self._config, {}
    documents = batch.get("document_ids", batch["input_mask"])
    ours, theirs = (x["queries_keys_values"] for x in (
        outputs, outputs["teacher"]))
    if config.relations_weight:
      sums["relations_divergence"] = weighted_sum.of(
          attention_relations.last_layer_divergence(
              ours, theirs, self._relation_heads, documents), real)
    if config.attention_weight:
      logits = [attention_relations.relation_logits(
          query, key, int(query.shape[2]), documents)
                for query, key, _ in (ours, theirs)]
      sums["attention_divergence"] = weighted_sum.of(
          attention_relations.relation_divergence(*logits), real)
    return sums

  @classmethod
  def means(cls, sums) -> dict:
    """As plain pretraining's, and in training what each part came to."""
    means = masked_lm_pretraining.MaskedLMPretrainingTask.means(sums)
    for name in ("teacher_divergence", "teacher_agreement"):
      if name in sums:
        means[name] = float(sums[name]) / max(float(sums["compared"]), 1.0)
    for part, name in _SUMS.items():
      if part != "logits" and name in sums:
        means[name] = float(sums[name]) / max(float(sums["tokens"]), 1.0)
    return means

  @staticmethod
  def describe(metrics) -> str:
    words = masked_lm_pretraining.MaskedLMPretrainingTask.describe(metrics)
    if "teacher_divergence" in metrics:
      words += f"  from teacher {metrics['teacher_divergence']:.3f}"
    return words


def words(model, batch, positions: str, reads_last_layer: bool = False,
          **arguments) -> dict:
  """What a model says of words, masked or all.

  Args:
    model: a `MaskedLMPretrainer`.
    batch: as training has it.
    positions: `masked` or `all`.
    reads_last_layer: whether its last layer's states are wanted of all tokens.
    **arguments: of the model's call.

  Returns:
    The model's outputs, `mlm_logits` [b p v] among them; for `all` also
    `all_logits` [b n v].
  """
  left_out = set()
  if model.encoder_network.get_config()["attention"]["name"] != "softmax":
    # Rows of one document, which it need not be told.
    left_out = {"document_ids", "position_ids"}
  everywhere = positions == "all"
  if everywhere or reads_last_layer:
    # Without positions, the last layer works on all.
    left_out.add("masked_lm_positions")
  inputs = {name: x for name, x in batch.items() if name not in left_out}
  outputs = model(inputs, **arguments)
  if "masked_lm_positions" not in left_out:
    return outputs
  read = masked = batch["masked_lm_positions"]
  if everywhere:
    mask = batch["input_mask"]
    read = tf.ensure_shape(tf.broadcast_to(
        tf.range(mask.shape[1])[tf.newaxis], tf.shape(mask)), mask.shape)
  logits = model.masked_lm(outputs["sequence_output"], masked_positions=read)
  if everywhere:
    outputs["all_logits"] = logits
    logits = tf.gather(logits, masked, batch_dims=1)
  return outputs | dict(mlm_logits=logits)


def _num_layers(model) -> int:
  return len(model.encoder_network.transformer_layers)


def _projection(layer, width, teacher_width, initializer):
  """From the student's width to the teacher's, built, in float32."""
  dense = tf_keras.layers.Dense(
      teacher_width, dtype=tf.float32, name=f"hidden_projection_{layer}",
      kernel_initializer=tf_keras.initializers.deserialize(initializer))
  with tf.name_scope(dense.name):
    dense.build([None, None, width])
  return dense
