"""One update of the model, on any number of replicas and micro-batches.

Losses are summed and divided by the number of predictions of the whole global
batch; gradients are clipped after the all-reduce. So the update does not depend
on how the batch was cut: 1 replica, 8 replicas or 8 micro-batches of one
replica take the same step.

Axes: b rows a replica, v vocabulary.
"""

import tensorflow as tf

from official_style.tasks import any_budget
from official_style.training import graph_per_shape

_SUM = tf.distribute.ReduceOp.SUM


class TrainStep:
  """Takes one optimizer step from a distributed batch.

  Create it under the strategy's scope.

  Args:
    task: gives `normalizers`, `sums`, `objective` and `trained_variables`, and
      `train_outputs(model, batch, token_keep_k)` where what it learns from is
      more than the model's outputs.
    model: takes `(batch, training, token_keep_k)`, or
      `(batch, training, token_schedule)` where steps name lists.
    optimizer: of `optimizers.build_optimizer`.
    loss_scale: a `LossScale`.
    strategy: what replicas there are.
    micro_batches: parts a replica's batch is worked on in turn.
    clip_norm: global norm the mean gradient is clipped to; 0 is off.
    jit_compile: compile with XLA: the whole step on one replica, only the
      gradients on several, whose all-reduce XLA can't hold.

  Call:
    batch: a distributed batch. token_keep_k: static keep count, or None.
    token_schedules: static lists of tokens kept, a pass for each; see
      `any_budget`.
    -> dict of scalars: the task's sums over the global batch, `gradient_norm`
      before clipping, and `finite`, whether the update was made.
  """

  def __init__(self, task, model, optimizer, loss_scale, strategy, *,
               micro_batches=1, clip_norm=1.0, jit_compile=False):
    self._task, self._model, self._optimizer = task, model, optimizer
    self._loss_scale, self._strategy = loss_scale, strategy
    self._micro_batches, self._clip_norm = micro_batches, clip_norm
    self._jit_compile = jit_compile
    self._outputs_of = getattr(task, "train_outputs", _outputs_of)
    # What has no part in the loss, as the pooler, must not decay towards zero
    # either.
    self._variables = task.trained_variables(model)
    encoder = model.encoder_network
    self._importance = getattr(encoder, "token_importance", None)
    self._vocab_size = (encoder.get_embedding_table().shape[0]
                        if self._importance is not None else None)
    self._functions = {}

  def __call__(self, batch, token_keep_k=None, token_schedules=None):
    static = token_keep_k, token_schedules
    if static not in self._functions:
      self._functions[static] = self._function(*static)
    return self._functions[static](batch)

  def trace(self, signature, token_keep_k=None,
            token_schedules=None) -> tf.Graph:
    """The graph for a dict of `tf.TensorSpec`; runs nothing."""
    return self._function(token_keep_k, token_schedules).trace(signature)

  def _function(self, *static):
    """Graphs for one choice; shapes are static, and few."""
    replica_step = lambda batch: self.replica_step(  # noqa: E731
        batch, *static)
    if self._jit_compile and self._strategy.num_replicas_in_sync == 1:
      replica_step = tf.function(
          replica_step, jit_compile=True, autograph=False)

    def step(batch):
      logs = self._strategy.run(replica_step, args=(batch,))
      return tf.nest.map_structure(
          lambda x: self._strategy.experimental_local_results(x)[0], logs)

    return graph_per_shape.GraphPerShape(step)

  def replica_step(self, batch, token_keep_k=None, token_schedules=None):
    """What one replica does with its share; see the class."""
    normalizers = self._all_reduce(self._task.normalizers(batch))
    gradients = self._gradients
    if self._jit_compile and self._strategy.num_replicas_in_sync > 1:
      gradients = tf.function(
          gradients, jit_compile=True, autograph=False)
    return self._apply(*self._all_reduce(
        gradients(batch, normalizers, token_keep_k, token_schedules)))

  def _all_reduce(self, tensors):
    """The sums over replicas of a structure of tensors."""
    if self._strategy.num_replicas_in_sync == 1:
      return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(_SUM, tensors)

  def _gradients(self, batch, normalizers, *static):
    """This replica's share of the gradients, and its sums."""
    parts = self._micro_batches
    if parts == 1:
      return self._micro_gradients(batch, normalizers, *static)
    rows, left_out = divmod(batch["input_word_ids"].shape[0], parts)
    if left_out:
      raise ValueError(
          f"{rows * parts + left_out} rows a replica: not a multiple of "
          f"micro_batches={parts}")
    # Not a slice of the rows: XLA wants one whose shape does not hang on `i`.
    batch = {name: tf.reshape(x, [parts, rows] + x.shape[1:])
             for name, x in batch.items()}

    def part(i):
      micro = {name: tf.gather(x, i) for name, x in batch.items()}
      return self._micro_gradients(micro, normalizers, *static)

    def body(i, total):
      return i + 1, tf.nest.map_structure(tf.add, total, part(i))

    return tf.while_loop(
        lambda i, _: i < parts, body, (tf.constant(1), part(0)),
        maximum_iterations=parts - 1)[1]

  def _micro_gradients(self, batch, normalizers, token_keep_k,
                       token_schedules):
    with tf.GradientTape() as tape:
      if token_schedules is None:
        outputs = self._outputs_of(self._model, batch, token_keep_k)
      else:
        outputs = any_budget.train_outputs(
            self._model, batch, token_schedules)
      sums = self._task.sums(batch, outputs, self._vocab_size)
      loss = self._task.objective(sums, normalizers)
      loss *= self._loss_scale.value
    gradients = tape.gradient(loss, self._variables)
    return [tf.cast(tf.convert_to_tensor(g), tf.float32)
            for g in gradients], sums

  def _apply(self, gradients, sums):
    """Clips, updates weights and importance; the same in every replica."""
    gradients = [g / self._loss_scale.value for g in gradients]
    norm = tf.linalg.global_norm(gradients)
    finite = tf.math.is_finite(norm) & tf.math.is_finite(sums["loss"])
    factor = tf.ones([])
    if self._clip_norm:
      factor = self._clip_norm / tf.maximum(norm, self._clip_norm)
    # Zeros also of what is not a number.
    factor = tf.where(finite, factor, 0)
    self._optimizer.apply_gradients_if(finite, [
        (tf.math.multiply_no_nan(g, factor), v)
        for g, v in zip(gradients, self._variables)])
    sums = dict(sums)
    id_losses = sums.pop("id_losses", None)
    if id_losses is not None:
      self._importance.update(id_losses, apply=finite)
    self._loss_scale.record(finite)
    return sums | dict(gradient_norm=norm, finite=finite)


def _outputs_of(model, batch, token_keep_k):
  return model(batch, training=True, token_keep_k=token_keep_k)
