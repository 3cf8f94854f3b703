"""Runs to predict with that nobody trained: small, with fixed weights."""

from official.nlp.configs import encoders as official_encoders

from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.configs import pretraining
from official_style.data import label_sets
from official_style.data import tokenizer
from official_style.data import vocabulary
from official_style.tasks import masked_lm_pretraining
from official_style.tasks import sentence_prediction
from official_style.training import finished_run
from tests.reference import byte_pairs as byte_pairs_lib
from tests.reference import tiny_models

WORDS = """the a of and is not json file parse value good bad film red , . ! (
) ' ; < > / un ##read ##able ##s script b c d e f ##b ##c ##d ##e ##f""".split()
LENGTH = 16
_SIZES = dict(hidden_size=16, num_layers=3, num_attention_heads=2,
              intermediate_size=32, max_position_embeddings=LENGTH,
              type_vocab_size=2, dropout_rate=0.0, attention_dropout_rate=0.0)


def vocab() -> vocabulary.Vocabulary:
  return vocabulary.Vocabulary(
      [*vocabulary.BERT_SPECIAL_TOKENS, *WORDS], lower_case=True)


def classifier(lengths=(9, 6, 4), kind="class", selector="coreset",
               place="post_attention", seed=0, means=False, **sizes
               ) -> finished_run.FinishedRun:
  """A Pyramid-BERT that tells good from bad; a plain BERT without lengths."""
  words, sizes = vocab(), _SIZES | sizes
  if lengths is None:
    encoder = encoders.FastBertEncoderConfig(vocab_size=words.size, **sizes)
  else:
    encoder = encoders.PyramidBertEncoderConfig(
        vocab_size=words.size, token_schedule=lengths, token_selector=selector,
        selection_place=place, merge_tokens=means,
        proportional_attention=means, **sizes)
  config = fine_tuning.FineTuningConfig()
  config.task.model.encoder = official_encoders.EncoderConfig(
      type="any", any=encoder)
  config.task.train_data.seq_length = LENGTH
  labels = {"class": label_sets.LabelSet("class", ("bad", "good")),
            "number": label_sets.LabelSet("number", mean=10.0, scale=2.0),
            "choice": label_sets.LabelSet("choice", ("0", "1"))}[kind]
  task = sentence_prediction.SentencePredictionTask(config.task)
  task.set_labels(labels)
  return _run(config, words, labels, task, seed)


def byte_pairs() -> vocabulary.Vocabulary:
  """Those of `WORDS` that are words, whole, and the bytes."""
  tokens, merges = byte_pairs_lib.made_of(
      [word for word in WORDS if word.isalpha()])
  return vocabulary.Vocabulary(tokens, merges=merges)


def pretrainer(token_keep_k=8, num_layers=4,
               words=None) -> finished_run.FinishedRun:
  """A BERT that drops tokens; every id has its own importance."""
  words = words or vocab()
  config = pretraining.PretrainingConfig()
  config.task.model.encoder = official_encoders.EncoderConfig(
      type="any", any=encoders.TokenDropBertEncoderConfig(
          vocab_size=words.size, token_keep_k=token_keep_k,
          token_allow_list=(words.cls_id, words.sep_id),
          **_SIZES | dict(num_layers=num_layers)))
  config.task.train_data.seq_length = LENGTH
  config.task.train_data.max_predictions_per_seq = 2
  task = masked_lm_pretraining.MaskedLMPretrainingTask(config.task)
  run = _run(config, words, None, task, 0)
  run.encoder.token_importance.table.assign(
      [1.0 + 0.1 * ((7 * i) % words.size) for i in range(words.size)])
  return run


def _run(config, words, labels, task, seed):
  model = task.build_model()
  model(task.example(), training=False)
  tiny_models.randomize(model, seed)
  return finished_run.FinishedRun(
      "runs/tiny", config, words, tokenizer.tokenizer_of(words), labels,
      task, model, 7, True, {}, labels is None, **finished_run._graphs(model))
