"""The file a searched token schedule is kept in, and its one reader.

    format          "token_schedule", version 1
    token_schedule  tokens each layer keeps
    seq_length      of the rows it was searched for
    place           where in a layer tokens are selected
    selection       the other settings of the selection
    attention       of the model; files of before have none
    ...             how good and fast it is, and where it comes from

tools/search_schedule.py writes it, and a run that learns thresholds; training,
export and reports read it here.
No TensorFlow.
"""

import dataclasses
import hashlib
import json
from typing import Any, Mapping, Optional, Sequence

from official_style import files
from official_style.errors import UserError
from official_style.modeling import retention_schedule

FORMAT, VERSION = "token_schedule", 1
# Settings of `PyramidBertEncoderConfig` that are part of the selection.
SELECTION = ("token_selector", "coreset_m", "coreset_metric", "merge_tokens",
             "proportional_attention")


def selection_by(token_selector: str) -> dict[str, Any]:
  """The fields `SELECTION` of a selector with nothing else set."""
  return dict(token_selector=token_selector, coreset_m=None,
              coreset_metric="euclidean", merge_tokens=False,
              proportional_attention=False)


@dataclasses.dataclass(frozen=True)
class ScheduleFile:
  """What a file says.

  Attributes:
    path: of the file.
    token_schedule: tokens each layer keeps of rows of `seq_length`.
    seq_length: tokens of a row.
    place: one of `retention_schedule.PLACES`.
    selection: the fields `SELECTION`.
    attention: name of the mechanism it was searched with; None if the file
      doesn't say.
    details: everything in the file.
  """
  path: str
  token_schedule: tuple[int, ...]
  seq_length: int
  place: str
  selection: Mapping[str, Any]
  attention: Optional[str]
  details: Mapping[str, Any]

  @property
  def digest(self) -> str:
    """Of what a model depends on: not of how fast it was found to be."""
    text = json.dumps([self.token_schedule, self.seq_length, self.place,
                       sorted(self.selection.items())])
    return hashlib.sha256(text.encode()).hexdigest()

  def check_fits(self, num_layers: int, place: str,
                 selection: Mapping[str, Any], attention: str):
    """Refuses a model the list was not searched for.

    Rows of another length are no reason: `lengths_at` scales the list.

    Raises:
      ValueError: naming what differs.
    """
    ours = dict(num_layers=num_layers, selection_place=place) | dict(selection)
    theirs = dict(num_layers=len(self.token_schedule),
                  selection_place=self.place) | dict(self.selection)
    if self.attention is not None:
      ours["attention"], theirs["attention"] = attention, self.attention
    for name, value in ours.items():
      if theirs[name] != value:
        raise ValueError(
            f"token_schedule_file={self.path}: its list is for {name}="
            f"{theirs[name]}, and this model has {value}: set that, or search "
            "a list for this one")

  def lengths_at(self, seq_length: int) -> tuple[int, ...]:
    """The list, scaled where rows have another length."""
    return retention_schedule.scale_lengths(
        self.token_schedule, self.seq_length, seq_length)


def read(path: str) -> ScheduleFile:
  """Reads a file.

  Raises:
    UserError: if it isn't there or no such file.
  """
  try:
    with open(path, encoding="utf-8") as f:
      content = json.load(f)
  except OSError as error:
    raise UserError(
        f"token_schedule_file={path}: can't be read ({error.strerror}): give "
        "the file that tools/search_schedule.py wrote") from error
  except (ValueError, RecursionError):
    content = None
  kind = content.get("format") if isinstance(content, dict) else None
  if kind != FORMAT:
    raise UserError(f"token_schedule_file={path}: no token schedule: give the "
                    "file that tools/search_schedule.py wrote")
  if content.get("version") != VERSION:
    raise UserError(f"token_schedule_file={path}: is of version "
                    f"{content.get('version')}, and this program reads "
                    f"{VERSION}: search again with this one")
  try:
    lengths, n = content["token_schedule"], content["seq_length"]
    retention_schedule.check_lengths(lengths, len(lengths), n)
    if not lengths or any(type(x) is not int for x in [n, *lengths]):
      raise ValueError("token_schedule: whole numbers, one a layer")
    if content["place"] not in retention_schedule.PLACES:
      raise ValueError(f"place={content['place']!r}")
    if not isinstance(content.get("attention"), (str, type(None))):
      raise ValueError(f"attention={content['attention']!r}")
    return ScheduleFile(
        path, tuple(lengths), n, content["place"],
        {name: content["selection"][name] for name in SELECTION},
        content.get("attention"), content)
  except (KeyError, TypeError, ValueError) as error:
    said = f"lacks {error}" if isinstance(error, KeyError) else error
    raise UserError(f"token_schedule_file={path}: damaged ({said}): search "
                    "again, or bring it back") from error


def write(path: str, token_schedule: Sequence[int], seq_length: int,
          place: str, selection: Mapping[str, Any],
          details: Mapping[str, Any], attention: str = "softmax"):
  """Writes a file that `read` reads.

  Raises:
    OSError: if it can't be written.
  """
  files.write(path, json.dumps(dict(
      format=FORMAT, version=VERSION, token_schedule=list(token_schedule),
      seq_length=seq_length, place=place,
      selection={name: selection[name] for name in SELECTION},
      attention=attention) | dict(details),
      indent=1) + "\n")
