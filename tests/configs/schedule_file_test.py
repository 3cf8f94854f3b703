"""The file of a searched schedule, and training with it."""

import json

import pytest

from official_style.configs import retention
from official_style.configs import schedule_file
from official_style.errors import UserError
from tests.reference import resolving

SELECTION = dict(token_selector="coreset", coreset_m=None,
                 coreset_metric="euclidean", merge_tokens=False,
                 proportional_attention=False)
_PYRAMID = ("--experiment=pyramid_bert", "--init_checkpoint=")
_ENCODER = "--params_override=task.model.encoder.any."


def _write(folder, lengths=(100, 60, 30, 30), n=128, place="post_attention",
           name="schedule.json", attention="softmax", **selection):
  path = str(folder / name)
  schedule_file.write(path, lengths, n, place, SELECTION | selection,
                      dict(quality=dict(accuracy=0.5)), attention)
  return path


def _with(path):
  return (*_PYRAMID, f'--gin_params=TOKEN_SCHEDULE_FILE = "{path}"')


def _encoder(*flags):
  return resolving.resolved(*flags).config.task.model.encoder.get()


def test_what_is_written_is_read(tmp_path):
  path = _write(tmp_path, coreset_m=1)
  file = schedule_file.read(path)
  assert file.token_schedule == (100, 60, 30, 30)
  assert (file.seq_length, file.place) == (128, "post_attention")
  assert file.selection == SELECTION | dict(coreset_m=1)
  assert file.details["quality"] == dict(accuracy=0.5)


def test_a_run_takes_the_list_and_remembers_the_file(tmp_path):
  path = _write(tmp_path)
  encoder = _encoder(*_with(path))
  assert encoder.token_schedule == (100, 60, 30, 30)
  assert encoder.token_schedule_length == 128
  assert encoder.token_schedule_digest == schedule_file.read(path).digest


def test_rows_of_another_length_get_the_same_shares(tmp_path):
  encoder = _encoder(*_with(_write(tmp_path)), "--gin_params=SEQ_LENGTH = 64")
  assert encoder.token_schedule == (50, 30, 15, 15)
  assert encoder.token_schedule_length == 64


def test_a_list_that_is_scaled_is_told(tmp_path):
  for more, said in ((["--gin_params=SEQ_LENGTH = 64"], True), ([], False)):
    flags = (*_with(_write(tmp_path)), *more)
    encoder = _encoder(*flags)
    n = encoder.token_schedule_length
    told = retention.scaling_of(encoder, n)
    assert bool(told) == said and told in "".join(
        retention.describe(encoder, n))
    if said:
      assert "rows of 128 tokens" in told and "scaled to 64" in told
  (tmp_path / "schedule.json").unlink()
  assert not retention.scaling_of(encoder, 64)  # Nobody knows any more.


def test_a_file_from_before_attention_was_noted_is_taken(tmp_path):
  path = _write(tmp_path)
  content = json.load(open(path))
  assert content.pop("attention") == "softmax"
  (tmp_path / "schedule.json").write_text(json.dumps(content))
  assert schedule_file.read(path).attention is None
  assert _encoder(*_with(path)).token_schedule == (100, 60, 30, 30)


def test_the_digest_is_of_what_a_model_depends_on(tmp_path):
  digests = {schedule_file.read(_write(tmp_path, **changes)).digest
             for changes in ({}, dict(lengths=(99, 60, 30, 30)), dict(n=256),
                             dict(place="pre_layer"), dict(coreset_m=3))}
  assert len(digests) == 5
  path = _write(tmp_path)
  before = schedule_file.read(path).digest
  content = json.load(open(path)) | dict(latency_ms=5)
  (tmp_path / "schedule.json").write_text(json.dumps(content))
  assert schedule_file.read(path).digest == before


def test_a_filled_in_config_needs_the_file_no_longer(tmp_path):
  from official_style.configs import resolve
  path = _write(tmp_path)
  resolved = resolving.resolved(*_with(path))
  params = tmp_path / "params.yaml"
  params.write_text(resolve.params_text(resolved.config))
  again = (*_PYRAMID, f"--config_file={params}")
  assert _encoder(*again).token_schedule == (100, 60, 30, 30)
  (tmp_path / "schedule.json").unlink()
  assert _encoder(*again) == resolved.config.task.model.encoder.get()
  _write(tmp_path, (90, 60, 30, 30))
  assert "give one of them" in resolving.refused(*again)


@pytest.mark.parametrize("changes, flags, parts", [
    (dict(lengths=(100, 60, 30)), [], ["num_layers=3", "has 4"]),
    (dict(place="query_only"), [], ["selection_place=query_only"]),
    (dict(token_selector="first_k"), [], ["token_selector=first_k"]),
    (dict(coreset_m=1), [], ["coreset_m=1", "has None"]),
    (dict(attention="favor"), [], ["attention=favor", "has softmax"]),
    ({}, [_ENCODER + "attention=block_sparse"],
     ["attention=softmax", "has block_sparse"]),
    ({}, ["--gin_params=TOKEN_SELECTOR = 'attention'"],
     ["token_selector=coreset", "has attention"]),
    ({}, [_ENCODER + "retention_relative=true"], ["retention_relative=True"]),
    ({}, ["--gin_params=TOKEN_SCHEDULE = [9, 8, 7, 6]"],
     ["[9, 8, 7, 6]", "give one of them"])])
def test_a_file_for_another_model_is_refused_by_name(
    tmp_path, changes, flags, parts):
  path = _write(tmp_path, **changes)
  message = resolving.refused(*_with(path), *flags)
  assert "\n" not in message and path in message
  for part in parts:
    assert part in message


@pytest.mark.parametrize("content, said", [
    ("", "no token schedule"), ("[1]", "no token schedule"),
    ('{"format": "latency_table"}', "no token schedule"),
    ('{"format": "token_schedule", "version": 9}', "version 9"),
    ('{"format": "token_schedule", "version": 1}', "lacks 'token_schedule'")])
def test_other_files_are_refused(tmp_path, content, said):
  path = tmp_path / "schedule.json"
  path.write_text(content)
  assert said in resolving.refused(*_with(path))


@pytest.mark.parametrize("key, value", [
    ("token_schedule", [60, 100, 30, 30]), ("token_schedule", [60.5, 30]),
    ("token_schedule", []), ("token_schedule", "x"), ("seq_length", 50),
    ("place", "above"), ("selection", {}), ("attention", [1])])
def test_damaged_files_are_refused(tmp_path, key, value):
  path = _write(tmp_path)
  content = json.load(open(path)) | {key: value}
  (tmp_path / "schedule.json").write_text(json.dumps(content))
  with pytest.raises(UserError, match="damaged"):
    schedule_file.read(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
  assert "can't be read (No such file" in resolving.refused(
      *_with(tmp_path / "no.json"))


def test_a_share_of_the_memory_decides_the_list():
  encoder = _encoder(*_PYRAMID, "--gin_params=RETENTION_MEMORY_SHARE = 0.4")
  assert encoder.token_schedule[0] < 128
  assert "give one" in resolving.refused(
      *_PYRAMID, "--gin_params=RETENTION_MEMORY_SHARE = 0.4",
      _ENCODER + "retention_share=0.5")
  assert "retention_memory_share=2.0" in resolving.refused(
      *_PYRAMID, "--gin_params=RETENTION_MEMORY_SHARE = 2.0")
