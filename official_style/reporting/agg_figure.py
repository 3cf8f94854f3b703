"""Pictures of matplotlib without a screen, equal byte for byte."""

import contextlib
import io

from official_style.errors import UserError

# No date and no version: the same data give the same bytes.
_METADATA = {"png": {"Software": None}, "svg": {"Date": None},
             "pdf": {"CreationDate": None}}
FORMATS = tuple(_METADATA)


@contextlib.contextmanager
def new(width: float, height: float):
  """An empty figure to draw on, of so many inches.

  Raises:
    UserError: if matplotlib isn't there.
  """
  try:
    import matplotlib
    from matplotlib import figure
    from matplotlib.backends import backend_agg
  except ImportError as error:
    raise UserError("pictures need matplotlib: pip install "
                    "'official-style[report]'") from error
  settings = {"svg.hashsalt": "0", "font.size": 9, "text.parse_math": False}
  with matplotlib.rc_context(settings):
    made = figure.Figure(figsize=(width, height), layout="constrained")
    backend_agg.FigureCanvasAgg(made)
    yield made


def saved(made, file_format: str, dpi: int) -> bytes:
  """The file of a figure; within `new`."""
  file = io.BytesIO()
  made.savefig(file, format=file_format, dpi=dpi,
               metadata=_METADATA[file_format])
  return file.getvalue()
