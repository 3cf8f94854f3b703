"""A pretraining run, from its configuration to its last word."""

from official_style.data import pretraining_data
from official_style.training import closing_words
from official_style.training import machinery as machinery_lib
from official_style.training import run_frame


def work(config, options, interruption) -> int:
  """Does what was asked for, of a `PretrainingConfig`; see `run_frame`."""
  if options.dry_run:
    from official_style.training import dry_run
    return dry_run.run(config, options)
  words = run_frame.execute(PretrainingJob(), config, options, interruption,
                            machinery_lib.place(config))
  if words:
    print(words)
  return 0


class PretrainingJob:
  """What is pretraining's own; see `run_frame`."""

  def prepare(self, config, folder, say, show):
    """Returns `PretrainingData`."""
    return pretraining_data.prepare(
        config.task, folder, config.trainer.seed, say, show,
        train_steps=config.trainer.train_steps)

  def complete(self, config, data):
    """Nothing: the configuration is complete without the data."""

  def evaluated(self, data) -> str:
    return f"; unigram baseline {data.unigram_loss:.4f}"

  def finish(self, run, state, seconds):
    """The closing words, on the chief."""
    if run.placement.is_chief:
      return closing_words.of(
          run.config, run.options, run.folder, run.data, state, seconds)
    return None
