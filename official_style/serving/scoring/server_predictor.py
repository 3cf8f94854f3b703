"""A server of an export, asked for batches."""

import dataclasses

from official_style.serving.client import call_failed
from official_style.serving.client import client_options
from official_style.serving.client import serving_client
from official_style.serving.scoring import refused_rows

# More than fit into any deadline.
_TRIES = 1_000_000_000


class ServerPredictor:
  """Calls a signature on servers; several threads may at once.

  Until one has answered, as often as a client does by default: an address may
  be wrong. After that a server that is away is waited for, and `deadline_s`
  says for how long.

  Args:
    targets: `host:port` each.
    model: its name on the servers.
    signature: its name.
    num_threads: calls at a time.
    more: further fields of `ClientOptions`.
  """

  def __init__(self, targets, model: str, signature: str, num_threads: int,
               **more):
    self._client = serving_client.ServingClient(client_options.ClientOptions(
        model=model, targets=tuple(targets), signature=signature,
        max_in_flight=num_threads, **more))
    self._patient = dataclasses.replace(self._client.options, tries=_TRIES)

  def __call__(self, inputs: dict) -> dict:
    """Arrays by name to arrays by name.

    Raises:
      RefusedRowsError: for rows that the server refuses.
      UserError: if there is no answer, after all tries.
    """
    try:
      found = self._client(inputs)
    except call_failed.CallFailed as error:
      if error.is_of_the_rows:
        # Without the address: the same row is refused by any server.
        raise refused_rows.RefusedRowsError(
            f"{error.code}: {' '.join(error.message.split())[:200]}") from error
      raise
    self._client.options = self._patient
    return found
