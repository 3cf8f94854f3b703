"""An encoder with a head on [CLS].

Axes: b batch, n tokens, d hidden_size, c choices, k classes.
"""

import tensorflow as tf
import tf_keras

from official_style.modeling.layers import classification_head


class SentenceClassifier(tf_keras.Model):
  """Scores whole rows: Model Garden's `BertClassifier`, with differences.

  The last layer works on [CLS] only, as nobody reads the others. An encoder
  that drops tokens to pretrain faster keeps them all here, in training too; one
  whose selection is part of it, Pyramid-BERT, selects here too. Dropout is
  applied once between pooler and projection, where upstream applies it twice,
  and is drawn by row.

  Args:
    encoder_network: an encoder of ours.
    num_classes: k; 1 for numbers, and for a score of each choice.
    initializer: of the head.
    dropout_rate: of the head.
    use_encoder_pooler: whether [CLS] goes through the encoder's pooler, or
      through a new one of the head's.
    input_dropout_rate: before a pooler of the head's.

  Call:
    inputs: what the encoder takes, each [b n], or [b c n] for a score for each
      choice.
    token_schedule: for a `PyramidBertEncoder`, the list to run instead of its
      own.
    -> dict of `logits` float32[b k], or [b c]; and what the encoder says of the
      tokens: `kept_positions`, and `absorbed_by` where it drops any, a row each
      choice.
  """

  def __init__(self, encoder_network, num_classes, initializer,
               dropout_rate=0.1, use_encoder_pooler=True,
               input_dropout_rate=0.0, **kwargs):
    super().__init__(**kwargs)
    self.encoder_network = encoder_network
    self._use_encoder_pooler = use_encoder_pooler
    if use_encoder_pooler and encoder_network.pooler_layer is None:
      raise ValueError("use_encoder_pooler=True: this encoder has no pooler; "
                       "with False the head has one of its own")
    self.classifier = classification_head.ClassificationHead(
        inner_dim=0 if use_encoder_pooler else encoder_network.hidden_size,
        num_classes=num_classes, initializer=initializer,
        dropout_rate=dropout_rate, input_dropout_rate=input_dropout_rate,
        name="sentence_prediction")

  def call(self, inputs, training=None, token_keep_k=None,
           token_schedule=None):
    """`token_keep_k` is ignored: the encoder is asked to keep all."""
    del token_keep_k
    shape = inputs["input_word_ids"].shape
    if shape.rank == 3:
      n = shape[2]
      inputs = {name: tf.reshape(inputs[name], [-1, n]) for name in (
          "input_word_ids", "input_mask", "input_type_ids")} | (
              {"example_keys": tf.reshape(inputs["example_keys"], [-1])}
              if "example_keys" in inputs else {})
    features, more, tokens = self.encode(inputs, training, token_schedule)
    logits = self.logits_of(
        features, self.encoder_network.row_keys(inputs, training))
    if shape.rank == 3:
      logits = tf.reshape(logits, [-1, shape[1]])
      more = {name: tf.reduce_mean(tf.reshape(
          x, [-1, shape[1], *x.shape[1:]]), axis=1)
              for name, x in more.items()}
    return dict(logits=logits) | more | tokens

  def encode(self, inputs, training, token_schedule):
    """[CLS] of rows, float32[b 1 d]; what else there is of each; its tokens."""
    # Only an encoder that has one of its own takes another list.
    chosen = {} if token_schedule is None else dict(
        token_schedule=token_schedule)
    first = tf.zeros_like(inputs["input_word_ids"][:, :1])
    outputs = self.encoder_network(
        inputs, training=training, read_positions=first,
        token_keep_k=inputs["input_word_ids"].shape[1], **chosen)
    tokens = {name: outputs[name] for name in (
        "kept_positions", "absorbed_by") if name in outputs}
    return outputs["sequence_output"], {}, tokens

  def logits_of(self, features, row_keys=None):
    """The head.

    Args:
      features: float[b 1 d], what the last layer gives for [CLS].
      row_keys: int32[b] that dropout is drawn by; None is no dropout.

    Returns:
      float32[b k].
    """
    if self._use_encoder_pooler:
      features = self.encoder_network.pooler_layer(features[:, 0, :])
    return tf.cast(self.classifier(features, row_keys=row_keys), tf.float32)

  @property
  def checkpoint_items(self):
    """What other programs look for by name."""
    return dict(encoder=self.encoder_network, classifier=self.classifier)
