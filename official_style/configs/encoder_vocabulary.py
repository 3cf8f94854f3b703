"""What an encoder's configuration takes from the vocabulary."""

from official_style.errors import UserError


def fill(encoder, vocabulary):
  """Sets what the encoder's config leaves to the vocabulary.

  Raises:
    UserError: if the config names another size.
  """
  if encoder.vocab_size == 0:
    encoder.vocab_size = vocabulary.size
  if encoder.vocab_size != vocabulary.size:
    raise UserError(
        f"the vocabulary has {vocabulary.size} tokens and the encoder's "
        f"vocab_size is {encoder.vocab_size}: set it to 0 to take the "
        "vocabulary's, or give the right --vocab_file")
  if "token_allow_list" in encoder.as_dict() and (
      encoder.token_allow_list is None):
    encoder.token_allow_list = tuple(
        i for i in vocabulary.special_ids if i != vocabulary.pad_id)
