"""Hugging Face's names of BERT's tensors, beside ours.

Read from the files `transformers` writes; ours are the paths of variables in a
checkpoint. `{i}` is the number of a layer.
"""

from official_style.checkpoints import tensor_layouts as layouts

# Where the word embeddings are; what stands before it is the prefix.
WORDS = "embeddings.word_embeddings.weight"

_EMBEDDINGS = (
    ("encoder/_embedding_layer/embeddings", WORDS, layouts.SAME),
    ("encoder/_position_embedding_layer/_position_embeddings",
     "embeddings.position_embeddings.weight", layouts.SAME),
    ("encoder/_type_embedding_layer/embeddings",
     "embeddings.token_type_embeddings.weight", layouts.SAME),
    ("encoder/_embedding_norm_layer/gamma", "embeddings.LayerNorm.weight",
     layouts.SAME),
    ("encoder/_embedding_norm_layer/beta", "embeddings.LayerNorm.bias",
     layouts.SAME))

_OURS, _THEIRS = "encoder/_transformer_layers/{i}", "encoder.layer.{i}"
_LAYER = tuple(
    (f"{_OURS}/{ours}", f"{_THEIRS}.{theirs}", layout)
    for ours, theirs, layout in (
        ("_attention_layer/_query_dense/kernel",
         "attention.self.query.weight", layouts.HEADS_OUT),
        ("_attention_layer/_query_dense/bias",
         "attention.self.query.bias", layouts.HEADS_BIAS),
        ("_attention_layer/_key_dense/kernel",
         "attention.self.key.weight", layouts.HEADS_OUT),
        ("_attention_layer/_key_dense/bias",
         "attention.self.key.bias", layouts.HEADS_BIAS),
        ("_attention_layer/_value_dense/kernel",
         "attention.self.value.weight", layouts.HEADS_OUT),
        ("_attention_layer/_value_dense/bias",
         "attention.self.value.bias", layouts.HEADS_BIAS),
        ("_attention_layer/_output_dense/kernel",
         "attention.output.dense.weight", layouts.HEADS_IN),
        ("_attention_layer/_output_dense/bias",
         "attention.output.dense.bias", layouts.SAME),
        ("_attention_layer_norm/gamma",
         "attention.output.LayerNorm.weight", layouts.SAME),
        ("_attention_layer_norm/beta",
         "attention.output.LayerNorm.bias", layouts.SAME),
        ("_intermediate_dense/kernel",
         "intermediate.dense.weight", layouts.TRANSPOSED),
        ("_intermediate_dense/bias", "intermediate.dense.bias", layouts.SAME),
        ("_output_dense/kernel", "output.dense.weight", layouts.TRANSPOSED),
        ("_output_dense/bias", "output.dense.bias", layouts.SAME),
        ("_output_layer_norm/gamma", "output.LayerNorm.weight", layouts.SAME),
        ("_output_layer_norm/beta", "output.LayerNorm.bias", layouts.SAME)))

_POOLER = (
    ("encoder/_pooler_layer/kernel", "pooler.dense.weight",
     layouts.TRANSPOSED),
    ("encoder/_pooler_layer/bias", "pooler.dense.bias", layouts.SAME))

# Of the masked-LM head; these stand without the prefix.
_BERT_HEAD = (
    ("masked_lm/dense/kernel", "cls.predictions.transform.dense.weight",
     layouts.TRANSPOSED),
    ("masked_lm/dense/bias", "cls.predictions.transform.dense.bias",
     layouts.SAME),
    ("masked_lm/layer_norm/gamma",
     "cls.predictions.transform.LayerNorm.weight", layouts.SAME),
    ("masked_lm/layer_norm/beta",
     "cls.predictions.transform.LayerNorm.bias", layouts.SAME),
    ("masked_lm/bias", "cls.predictions.bias", layouts.SAME))
_ROBERTA_HEAD = (
    ("masked_lm/dense/kernel", "lm_head.dense.weight", layouts.TRANSPOSED),
    ("masked_lm/dense/bias", "lm_head.dense.bias", layouts.SAME),
    ("masked_lm/layer_norm/gamma", "lm_head.layer_norm.weight",
     layouts.SAME),
    ("masked_lm/layer_norm/beta", "lm_head.layer_norm.bias", layouts.SAME),
    ("masked_lm/bias", "lm_head.bias", layouts.SAME))

# Stored again by some versions: (copy, what it has to equal).
_BERT_COPIES = (("cls.predictions.decoder.weight", WORDS),
                ("cls.predictions.decoder.bias", "cls.predictions.bias"))
_ROBERTA_COPIES = (("lm_head.decoder.weight", WORDS),
                   ("lm_head.decoder.bias", "lm_head.bias"))


def table(num_layers: int, prefix: str = "", roberta: bool = False) -> dict:
  """Our name -> (theirs, `Layout`), of encoder, pooler and masked-LM head."""
  rows = [*_EMBEDDINGS]
  for i in range(num_layers):
    rows += [(ours.format(i=i), theirs.format(i=i), layout)
             for ours, theirs, layout in _LAYER]
  rows += _POOLER
  named = {ours: (prefix + theirs, layout) for ours, theirs, layout in rows}
  head = _ROBERTA_HEAD if roberta else _BERT_HEAD
  return named | {ours: (theirs, layout) for ours, theirs, layout in head}


def classifier(has_pooler: bool) -> dict:
  """Our name -> (theirs, `Layout`), of a classifier: RoBERTa's has a pooler."""
  parts = (("classifier/out_proj", "classifier"),) if not has_pooler else (
      ("classifier/dense", "classifier.dense"),
      ("classifier/out_proj", "classifier.out_proj"))
  return {f"{ours}/{name}": (f"{theirs}.{last}", layout)
          for ours, theirs in parts for name, last, layout in (
              ("kernel", "weight", layouts.TRANSPOSED),
              ("bias", "bias", layouts.SAME))}


def copies(prefix: str = "", roberta: bool = False) -> dict:
  """Name of a tensor stored again -> of what it repeats."""
  return {copy: prefix + source if source == WORDS else source
          for copy, source in (_ROBERTA_COPIES if roberta else _BERT_COPIES)}


def present_name(name: str) -> str:
  """The name in use today, for those of PyTorch's first BERTs."""
  if "LayerNorm." in name:
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias")
  return name
