"""Steps of a pretraining configuration, to be timed."""


def stepper(config, folder: str, train_steps: int):
  """A function that takes the next step, its rows read from the start.

  Args:
    config: a resolved `PretrainingConfig`.
    folder: for its data, made there or there already.
    train_steps: that there is to be text for.
  """
  from official_style.data import input_pipeline
  from official_style.data import pretraining_data
  from official_style.training import machinery
  placement = machinery.place(config)
  data = pretraining_data.prepare(
      config.task, folder, config.trainer.seed, train_steps=train_steps)
  built = machinery.build(config, data.vocabulary, placement)
  batches = iter(input_pipeline.distribute(
      data.train, placement.strategy, 0, 10**6))
  return lambda: float(built.train_step(next(batches))["loss"])
