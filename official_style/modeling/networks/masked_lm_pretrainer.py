"""An encoder with the masked-language-model head.

Axes: b batch, n tokens, p predictions a row, v vocabulary.
"""

from official.nlp.modeling import models


class MaskedLMPretrainer(models.BertPretrainerV2):
  """Model Garden's pretrainer, for encoders that take a keep count.

  Its checkpoint items (`encoder`, `masked_lm` and heads) are Model Garden's.

  Call:
    inputs: what the encoder takes, and `masked_lm_positions` int[b p].
    token_keep_k: static; see `TokenDropBertEncoder`.
    -> the encoder's outputs, and `mlm_logits` float[b p v].
  """

  def call(self, inputs, training=None, token_keep_k=None):
    outputs = self.encoder_network(
        inputs, training=training, token_keep_k=token_keep_k)
    sequence = outputs["sequence_output"]
    if "masked_lm_positions" in inputs:
      outputs["mlm_logits"] = self.masked_lm(
          sequence, masked_positions=inputs["masked_lm_positions"])
    row_keys = self.encoder_network.row_keys(inputs, training)
    for head in self.classification_heads:
      outputs[head.name] = head(sequence, row_keys=row_keys)
    return outputs
