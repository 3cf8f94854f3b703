"""Parts on Apache Spark.

A DataFrame of the numbers of parts, and a `predict_batch_udf` over it: it
loads the model once in each Python worker. What goes through Spark is these
numbers, not rows: Spark cuts rows into batches of its own, by which the last
bits of an answer would differ. A task that is killed is tried again.

Folders have to be under the same path on all machines.
"""

import os
import sys

from official_style.errors import UserError
from official_style.errors import first_line
from official_style.serving.scoring import part_worker

try:
  import pyspark.ml.functions
  import pyspark.sql
  import pyspark.sql.types
except ImportError as missing:
  raise UserError("--runner=spark: pyspark is not installed, or what it needs "
                  "(pandas, pyarrow); pip install 'official-style[spark]', or "
                  "leave the flag out") from missing

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
# Of each core: a task costs some tenths of a second, and the last ones have to
# be short for all cores to end together. One that is tried again leaves out
# the parts it has done.
_TASKS = 16
_SETTINGS = {
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "false",
}


def run(job, parts, num_workers: int, settings=()):
  """Scores parts.

  Args:
    job: a `ScoringJob`.
    parts: their numbers.
    num_workers: tasks at a time, where no --master is set.
    settings: `name=value` of Spark's configuration.

  Raises:
    UserError: if Spark can't be started.
  """
  parts = list(parts)
  builder = pyspark.sql.SparkSession.builder.appName("score")
  given = dict(_split(setting) for setting in settings)
  if "spark.master" not in given and "SPARK_ENV_LOADED" not in os.environ:
    # 4: a task may fail three times; elsewhere that is the default.
    given["spark.master"] = f"local[{num_workers},4]"
    given.setdefault("spark.ui.enabled", "false")
    given.setdefault("spark.driver.bindAddress", "127.0.0.1")
    given.setdefault("spark.driver.host", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Workers import this package from where this process has it.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (
        _ROOT, os.environ.get("PYTHONPATH"))))
  for name, value in (_SETTINGS | given).items():
    builder = builder.config(name, value)
  try:
    session = builder.getOrCreate()
  except Exception as error:
    raise UserError("--runner=spark: can't be started "
                    f"({first_line(error)}): is there a Java 17, and "
                    "JAVA_HOME set?") from error
  try:
    session.sparkContext.setLogLevel("ERROR")
    score = pyspark.ml.functions.predict_batch_udf(
        _maker(job, parts), return_type=pyspark.sql.types.LongType(),
        batch_size=1)
    # A range, as Python workers that make rows would load the model too.
    places = session.range(0, len(parts), 1, min(
        len(parts), _TASKS * session.sparkContext.defaultParallelism))
    places.select(score("id").alias("rows")).collect()
  finally:
    session.stop()


def _maker(job, parts):
  """What makes the function of a worker, there: places in `parts` to rows."""
  def make():
    import numpy as np
    worker = part_worker.PartWorker(job)

    def predict(places):
      return np.array([worker.score(parts[i]) for i in places], np.int64)
    return predict
  return make


def _split(setting: str) -> tuple:
  name, equals, value = setting.partition("=")
  if not equals or not name:
    raise UserError(f"--spark_args={setting}: must be name=value, as "
                    "spark.master=yarn")
  return name, value
