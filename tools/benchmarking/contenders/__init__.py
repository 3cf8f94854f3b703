"""Contenders by name.

The names can be listed without importing any framework; a worker imports the
one module it needs.
"""

import importlib
from typing import NamedTuple, Optional


class Entry(NamedTuple):
  """Where a contender is, and what is known of it before it is built.

  Attributes:
    module, name: of its class.
    drops: whether it drops tokens in training.
    packs: whether documents can share a row.
    short_last: whether its last layer works on predicted positions only.
    onednn: whether TensorFlow uses oneDNN's kernels; None leaves that to
      TensorFlow, as somebody does who only installs it.
    needs: the package it needs.
  """
  module: str
  name: str
  drops: bool = False
  packs: bool = False
  short_last: bool = False
  onednn: Optional[bool] = None
  needs: str = "tensorflow"

  def environment(self) -> dict[str, str]:
    """What its worker needs to find when it starts."""
    return ({} if self.onednn is None
            else {"TF_ENABLE_ONEDNN_OPTS": str(int(self.onednn))})


CONTENDERS = {
    # oneDNN as in `official_style.tensorflow_environment`.
    "ours": Entry("ours", "Ours", packs=True, short_last=True, onednn=True),
    "ours_token_drop": Entry(
        "ours_token_drop", "OursTokenDrop", drops=True, packs=True,
        short_last=True, onednn=True),
    "bert_encoder_v2": Entry("bert_encoder_v2", "ModelGardenBert"),
    "bert_encoder_v2_onednn": Entry(
        "bert_encoder_v2", "ModelGardenBert", onednn=True),
    "hf_bert": Entry("hf_bert", "HuggingFaceBert", needs="torch"),
}


def load(name: str):
  """The class of a contender."""
  entry = CONTENDERS[name]
  module = importlib.import_module(f"{__name__}.{entry.module}")
  return getattr(module, entry.name)
