"""What can be wrong with a configuration once the devices are known."""

from official_style.errors import UserError


def check(config, placement, metric_names):
  """Raises `UserError` for what would fail, or be wrong, hours later."""
  _check_division(config, placement)
  _check_best_metric(config, metric_names)


def _check_division(config, placement):
  """Every micro-batch of every replica holds the same number of rows."""
  rows = config.task.train_data.global_batch_size
  replicas = placement.strategy.num_replicas_in_sync
  parts = config.trainer.gradient_accumulation_steps
  if rows % (replicas * parts):
    raise UserError(
        f"task.train_data.global_batch_size={rows} does not divide by "
        f"{replicas} replicas of {parts} micro-batches: make it a multiple "
        f"of {replicas * parts}")
  rows = config.task.validation_data.global_batch_size
  if rows % replicas:
    raise UserError(
        f"task.validation_data.global_batch_size={rows} does not divide by "
        f"{replicas} replicas: make it a multiple")


def _check_best_metric(config, names):
  """The metric that says which checkpoint is best is one there will be."""
  name = config.trainer.best_checkpoint_eval_metric
  if name not in names:
    raise UserError(f"trainer.best_checkpoint_eval_metric={name}: must be one "
                    f"of {', '.join(names)}")
  direction = config.trainer.best_checkpoint_metric_comp
  if direction not in ("higher", "lower"):
    raise UserError(f"trainer.best_checkpoint_metric_comp={direction}: must "
                    "be higher or lower")
