"""Names of the variables of Google's first BERT, beside ours.

Read from `modeling.py` and `run_pretraining.py` of google-research/bert; `{i}`
is the number of a layer.
"""

from official_style.checkpoints import tensor_layouts as layouts

_EMBEDDINGS = (
    ("encoder/_embedding_layer/embeddings", "word_embeddings"),
    ("encoder/_position_embedding_layer/_position_embeddings",
     "position_embeddings"),
    ("encoder/_type_embedding_layer/embeddings", "token_type_embeddings"),
    ("encoder/_embedding_norm_layer/gamma", "LayerNorm/gamma"),
    ("encoder/_embedding_norm_layer/beta", "LayerNorm/beta"))

_LAYER = (
    ("_attention_layer/_query_dense/kernel", "attention/self/query/kernel",
     layouts.FLAT_HEADS_OUT),
    ("_attention_layer/_query_dense/bias", "attention/self/query/bias",
     layouts.HEADS_BIAS),
    ("_attention_layer/_key_dense/kernel", "attention/self/key/kernel",
     layouts.FLAT_HEADS_OUT),
    ("_attention_layer/_key_dense/bias", "attention/self/key/bias",
     layouts.HEADS_BIAS),
    ("_attention_layer/_value_dense/kernel", "attention/self/value/kernel",
     layouts.FLAT_HEADS_OUT),
    ("_attention_layer/_value_dense/bias", "attention/self/value/bias",
     layouts.HEADS_BIAS),
    ("_attention_layer/_output_dense/kernel", "attention/output/dense/kernel",
     layouts.FLAT_HEADS_IN),
    ("_attention_layer/_output_dense/bias", "attention/output/dense/bias",
     layouts.SAME),
    ("_attention_layer_norm/gamma", "attention/output/LayerNorm/gamma",
     layouts.SAME),
    ("_attention_layer_norm/beta", "attention/output/LayerNorm/beta",
     layouts.SAME),
    ("_intermediate_dense/kernel", "intermediate/dense/kernel", layouts.SAME),
    ("_intermediate_dense/bias", "intermediate/dense/bias", layouts.SAME),
    ("_output_dense/kernel", "output/dense/kernel", layouts.SAME),
    ("_output_dense/bias", "output/dense/bias", layouts.SAME),
    ("_output_layer_norm/gamma", "output/LayerNorm/gamma", layouts.SAME),
    ("_output_layer_norm/beta", "output/LayerNorm/beta", layouts.SAME))

_REST = (
    ("encoder/_pooler_layer/kernel", "bert/pooler/dense/kernel"),
    ("encoder/_pooler_layer/bias", "bert/pooler/dense/bias"),
    ("masked_lm/dense/kernel", "cls/predictions/transform/dense/kernel"),
    ("masked_lm/dense/bias", "cls/predictions/transform/dense/bias"),
    ("masked_lm/layer_norm/gamma", "cls/predictions/transform/LayerNorm/gamma"),
    ("masked_lm/layer_norm/beta", "cls/predictions/transform/LayerNorm/beta"),
    ("masked_lm/bias", "cls/predictions/output_bias"))


def table(num_layers: int) -> dict:
  """Our name -> (theirs, `Layout`), of encoder, pooler and masked-LM head."""
  rows = {ours: (f"bert/embeddings/{theirs}", layouts.SAME)
          for ours, theirs in _EMBEDDINGS}
  for i in range(num_layers):
    rows |= {f"encoder/_transformer_layers/{i}/{ours}":
             (f"bert/encoder/layer_{i}/{theirs}", layout)
             for ours, theirs, layout in _LAYER}
  return rows | {ours: (theirs, layouts.SAME) for ours, theirs in _REST}
