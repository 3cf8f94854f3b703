"""The BERT of this project that drops tokens in training."""

from benchmarking import rows
from benchmarking.contenders import ours
from official_style.configs import encoders


class OursTokenDrop(ours.Ours):
  """`TokenDropBertEncoder` in the layout of its paper."""

  def encoder_config(self, **arguments):
    words = rows.vocabulary(self.case.sizes.vocab_size)
    return encoders.TokenDropBertEncoderConfig(
        token_keep_k=self.case.keep_k,
        token_allow_list=[i for i in words.special_ids if i != words.pad_id],
        **arguments)
