"""A fine-tuned run that keeps tokens by a list it was not trained with."""

import dataclasses

from official_style.configs import retention
from official_style.configs import schedule_file
from official_style.errors import UserError
from official_style.modeling.networks import pyramidize
from official_style.training import finished_run

_FLAG = "--token_schedule_file"


def with_schedule(run: finished_run.FinishedRun, path: str
                  ) -> finished_run.FinishedRun:
  """The run's weights, with the list of a file instead of its own or none.

  Args:
    run: of a plain BERT, which gets the selection of the file too, or of a
      pyramid with that selection.
    path: of a file of `schedule_file`.

  Raises:
    UserError: for a file or a run that can't be used.
  """
  if run.labels is None:
    raise UserError(f"{_FLAG}={path}: for fine-tuned runs, and {run.path} was "
                    "pretrained: fine-tune it first")
  found, encoder = schedule_file.read(path), run.config.task.model.encoder.get()
  place, selection = found.place, found.selection
  if hasattr(encoder, "token_schedule"):
    if encoder.retention_relative:
      raise UserError(
          f"{_FLAG}={path}: {run.path} keeps shares of each row's own tokens "
          "(retention_relative), and lists are numbers of tokens: give a run "
          "without")
    place = retention.place_of(encoder)
    selection = retention.selection_of(encoder)
  try:
    found.check_fits(
        encoder.num_layers, place, selection, encoder.attention)
    made = pyramidize.pyramidize(
        run.encoder, token_schedule=found.lengths_at(run.seq_length),
        selection_place=place, **selection)
  except ValueError as error:
    raise UserError(f"--{error}") from error
  return dataclasses.replace(run.with_encoder(made), untrained_schedule=path)
