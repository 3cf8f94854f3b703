"""Making a Pyramid-BERT of an encoder that was trained without selection.

Pyramid-BERT (Huang et al., 2022, https://arxiv.org/abs/2203.14380) adds no
variables, so trained weights run with it as they are.
"""

import dataclasses
import inspect
from typing import Any, Optional, Sequence

import tf_keras
from official.nlp.modeling import networks as official_networks

from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling.layers import token_selector as selector_layer
from official_style.modeling.networks import bert_encoder
from official_style.modeling.networks import pyramid_bert_encoder

# Model Garden's: the same variables, and the same arithmetic in inference.
_MODEL_GARDENS = (
    official_networks.BertEncoderV2, official_networks.BertEncoder)
# What they can do, and we can't.
_NOT_OURS = ("output_range", "embedding_layer", "with_dense_inputs",
             "return_attention_scores", "return_word_embeddings")


def pyramidize(encoder: Any, speedup: float = 3.0,
               seq_length: Optional[int] = None,
               token_schedule: Optional[Sequence[int]] = None,
               **settings) -> pyramid_bert_encoder.PyramidBertEncoder:
  """An encoder with the same weights that keeps ever fewer tokens.

  Nothing is trained: how much quality that costs is to be measured, and
  fine-tuning gets some of it back.

  Args:
    encoder: any of ours, or Model Garden's `BertEncoderV2` or `BertEncoder`,
      with variables; of a classifier of theirs, what is in its
      `checkpoint_items["encoder"]`. It stays as it is; weights are copied.
    speedup: times fewer matrix products on rows of `seq_length`, when [CLS] is
      read.
    seq_length: tokens of the rows it is meant for; None is the most the
      encoder takes. Shorter rows gain less: the list holds numbers of tokens,
      not shares.
    token_schedule: tokens each layer keeps, instead of a speed-up.
    **settings: of the selection, see `PyramidBertEncoder`.

  Raises:
    ValueError: for an encoder without variables, one of another kind, or a
      speed-up or list it can't have.
  """
  theirs = type(encoder) in _MODEL_GARDENS
  if not theirs and not isinstance(encoder, bert_encoder.BertEncoder):
    raise ValueError(
        f"{type(encoder).__name__}: give an encoder of official_style, as a "
        "classifier's `encoder_network`, or Model Garden's BertEncoderV2 or "
        "BertEncoder")
  if not encoder.built or not _parts(encoder)[-1].built:
    raise ValueError(f"{encoder.name} has no weights yet: call it, or load a "
                     "checkpoint, first")
  config = _config_of_model_gardens(encoder) if theirs else (
      encoder.get_config())
  shared = inspect.signature(bert_encoder.BertEncoder).parameters
  config = {name: value for name, value in config.items() if name in shared}
  if token_schedule is None:
    token_schedule = _lengths(config, speedup, seq_length, settings)
  ours = pyramid_bert_encoder.PyramidBertEncoder(
      token_schedule=token_schedule, **settings, **config)
  ours.build(None)
  for one, other in zip(_parts(encoder), _parts(ours), strict=True):
    _copy(one, other)
  return ours


def _config_of_model_gardens(encoder):
  """The arguments of a `BertEncoder` of ours."""
  config = dict(encoder.get_config())
  for name in _NOT_OURS:
    if config.get(name):
      raise ValueError(f"{type(encoder).__name__} with {name}="
                       f"{config[name]!r}: not supported here; build it "
                       "without")
  block = encoder.transformer_layers[0]
  # Their names of functions don't lead back to all of them.
  activation = block.get_config()["inner_activation"]
  return config | dict(
      inner_activation=tf_keras.activations.get(activation),
      initializer=tf_keras.initializers.get(config["initializer"]))


def _copy(source, target):
  """Copies variables by what they are: their order is not the same."""
  values = {_last_names(v): v for v in source.variables}
  if len(values) != len(target.variables):
    raise ValueError(f"{source.name} has {len(values)} variables where "
                     f"{len(target.variables)} are known")
  for variable in target.variables:
    variable.assign(values[_last_names(variable)])


def _last_names(variable):
  """`query/kernel` of `encoder/layer_3/self_attention/query/kernel:0`."""
  return "/".join(variable.name.split("/")[-2:])


def model_sizes(config: dict) -> cost_model.ModelSizes:
  """The sizes of an encoder with this `get_config()`."""
  sizes = {field.name: config[field.name]
           for field in dataclasses.fields(cost_model.ModelSizes)
           if field.name != "attention" and field.name in config}
  # Model Garden's encoders have one kind only, and don't name it; nor do they
  # lack types or pooler.
  return cost_model.ModelSizes(
      **sizes, attention=cost_model.AttentionCost(
          **config.get("attention", {})))


def _lengths(config, speedup, seq_length, settings):
  """The longest exponential list of a speed-up."""
  name = settings.get("token_selector", "coreset")
  cuts_input = name == "input_first_k"
  sizes = model_sizes(config)
  place = settings.get("selection_place", retention_schedule.POST_ATTENTION)
  return retention_schedule.lengths_for_speedup(
      sizes, seq_length or config["max_sequence_length"], speedup,
      depth=1 if cuts_input else None,
      place=retention_schedule.PRE_LAYER if cuts_input else place,
      at_least=selector_layer.TokenSelector(name).least)


def _parts(encoder):
  """Layers with variables, in the same order for all encoders."""
  # pylint: disable=protected-access
  return [layer for layer in (
      encoder._embedding_layer, encoder._position_embedding_layer,
      encoder._type_embedding_layer, encoder._embedding_norm_layer,
      getattr(encoder, "_embedding_projection", None),
      *encoder.transformer_layers,
      encoder.pooler_layer) if layer is not None]
