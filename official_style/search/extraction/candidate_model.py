"""A candidate as a configuration, and as an encoder."""

import copy

from official_style.modeling import cost_model
from official_style.search.extraction.architecture import Architecture


def architecture_of(encoder) -> Architecture:
  """The sizes of a configured encoder."""
  return Architecture(encoder.num_layers, encoder.num_attention_heads,
                      encoder.hidden_size, encoder.intermediate_size)


def configure(architecture: Architecture, encoder):
  """A copy of an encoder's configuration with other sizes."""
  changed = copy.deepcopy(encoder)
  changed.num_layers = architecture.num_layers
  changed.num_attention_heads = architecture.num_attention_heads
  changed.hidden_size = architecture.hidden_size
  changed.intermediate_size = architecture.inner_dim
  return changed


def sizes_like(encoder) -> cost_model.ModelSizes:
  """What all candidates have in common, in the cost model's words."""
  return cost_model.sizes_of(encoder, encoder.vocab_size)


def build(architecture: Architecture, encoder):
  """An encoder of these sizes with random weights."""
  config = configure(architecture, encoder)
  return config.BUILDER(config)
