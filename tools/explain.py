"""Shows what each word does to the answer of an exported model.

    python tools/explain.py --export=exports/pyramid_bert \\
        --text='Parse a JSON document and return its values.'

asks the text signature of the export again without each word in turn.
--method=shap shares the answer out among the words instead (`pip install -e
'.[explain]'`). Beside each word of a pyramid stands how many layers worked on
it, by the signature kept_positions.
"""

import json
import os
import sys

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_EXPORT = flags.DEFINE_string(
    "export", None, "folder of an export, or of a version of it", required=True)
_TEXT = flags.DEFINE_string("text", None, "what to explain", required=True)
_TEXT_PAIR = flags.DEFINE_string("text_pair", None, "the second of a pair")
_METHOD = flags.DEFINE_enum(
    "method", "leave_one_out", ("leave_one_out", "shap"), "how to find effects")
_MAX_EVALUATIONS = flags.DEFINE_integer(
    "max_evaluations", 500, "texts that SHAP may ask about")
_HTML = flags.DEFINE_string("html", None, "also write this one HTML file")
_JSON = flags.DEFINE_string("json", None, "also write this JSON file")


def _explain():
  """Explains as the flags ask."""
  from official_style import files
  from official_style import tensorflow_environment
  from official_style.errors import UserError
  tensorflow_environment.prepare()
  from official_style.reporting import explanation
  from official_style.serving import export_manifest
  from official_style.serving import exported_text_model
  if _MAX_EVALUATIONS.value < 1:
    raise UserError(f"--max_evaluations={_MAX_EVALUATIONS.value}: at least 1")
  for flag, text in (("text", _TEXT.value), ("text_pair", _TEXT_PAIR.value)):
    try:
      (text or "").encode("utf-8")
    except UnicodeEncodeError as error:
      raise UserError(f"--{flag}: its character {error.start + 1} is no UTF-8: "
                      "convert the text, as by `iconv -t UTF-8`") from error
  model = exported_text_model.ExportedTextModel(
      export_manifest.newest(_EXPORT.value, "--export"))
  texts = (_TEXT.value,) if _TEXT_PAIR.value is None else (
      _TEXT.value, _TEXT_PAIR.value)
  found = explanation.of(
      model, texts, _METHOD.value, _MAX_EVALUATIONS.value)
  print(explanation.text_of(found), end="")
  for flag, path, content in (
      ("html", _HTML.value, explanation.page_of),
      ("json", _JSON.value, lambda x: json.dumps(
          x.to_dict(), indent=1, ensure_ascii=False) + "\n")):
    if path:
      try:
        files.write(path, content(found))
      except OSError as error:
        raise UserError(f"--{flag}={path}: can't be written "
                        f"({error.strerror}): choose another") from error
      print(f"{path}: the same as a file")


def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  del argv
  from official_style import command_end
  return command_end.exit_code(_explain, resumes=False)


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
