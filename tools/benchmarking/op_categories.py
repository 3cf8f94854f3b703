"""What part of a model an operation of its graph belongs to.

An operation's own name and type do not tell a dropout's multiplication from a
scaling. Where it was made does: the files and functions on the stack when the
graph was built. A gradient carries the name of the operation it is the
gradient of.
"""

import os
import re

MATMUL, ATTENTION, HEAD = ("matmul: projections", "matmul: attention",
                           "head and loss")
DROPOUT, SOFTMAX, GELU = "dropout and random numbers", "softmax", "GELU"
NORM, BIAS, COPIES = ("layer normalisation", "bias",
                      "transposes and copies")
GATHERS, TABLES, UPDATE = ("gathers and scatters", "embedding gradient",
                           "clipping and optimizer")
ELEMENTWISE, OTHER = "residuals, masks, elementwise", "other"
WAITING = "between operations"
CATEGORIES = (MATMUL, ATTENTION, SOFTMAX, DROPOUT, GELU, NORM, BIAS,
              ELEMENTWISE, COPIES, GATHERS, HEAD, TABLES, UPDATE, OTHER,
              WAITING)

_MATMUL_TYPES = re.compile(r"MatMul|Einsum")
_COPY_TYPES = ("Transpose", "ConcatV2", "Split", "SplitV", "Slice", "Pack",
               "Unpack", "Reshape", "Identity", "IdentityN", "Tile", "Fill",
               "StridedSlice", "StridedSliceGrad", "ZerosLike", "Pad",
               "BroadcastTo", "ConjugateTranspose", "_MklTranspose")
_GATHER_TYPES = ("GatherV2", "GatherNd", "ResourceGather", "ScatterNd",
                 "TensorScatterUpdate", "TensorScatterAdd", "TopKV2",
                 "UnsortedSegmentSum", "Where", "OneHot")
_ELEMENTWISE_TYPES = ("AddV2", "Add", "AddN", "Mul", "Sub", "RealDiv", "Cast",
                      "SelectV2", "Sum", "Maximum", "GreaterEqual", "Equal",
                      "NotEqual", "_UnaryOpsComposition", "_FusedAddN", "Neg")
# Everything these functions make, by the file they are in.
_FILES = {"row_dropout.py": DROPOUT, "counter_bits.py": DROPOUT,
          "dropout.py": DROPOUT,
          "gelu.py": GELU, "layer_norm.py": NORM,
          "token_routing.py": GATHERS, "token_importance.py": GATHERS,
          "legacy_adamw.py": UPDATE, "optimizer_v2.py": UPDATE,
          "clip_ops.py": UPDATE, "loss_scale.py": UPDATE}
_FUNCTIONS = {"_apply": UPDATE, "_SoftmaxGrad": SOFTMAX,
              "apply_gradients": UPDATE, "sums": HEAD, "build_losses": HEAD,
              "process_metrics": HEAD}


def _places(operation):
  """(files, functions) on the stack when the operation was made."""
  frames = list(operation.traceback or ())
  return ({os.path.basename(frame.filename) for frame in frames},
          {frame.name for frame in frames})


class OpCategories:
  """Sorts the operations of one graph, after the optimizer renamed some.

  Args:
    graph: a `tf.Graph`, as it was traced.
  """

  def __init__(self, graph):
    self._operations = {op.name: op for op in graph.get_operations()}

  def __call__(self, name: str, kind: str) -> str:
    """The category of an operation that ran, from its name and type."""
    made = self._of_stack(name)
    if name.startswith("gradient_tape/") and made is None:
      made = self._of_stack(name.removeprefix("gradient_tape/"))
    if made == UPDATE:
      return UPDATE
    if made == HEAD or "cls/predictions" in name or "CrossEntropy" in name:
      return HEAD
    if "embeddings/layer_norm" not in name and "embedding" in name and (
        name.startswith("gradient_tape")) or kind == "UnsortedSegmentSum":
      return TABLES
    if _MATMUL_TYPES.search(kind):
      return self._of_name(name, kind)
    return made or self._of_name(name, kind)

  def _of_stack(self, name):
    """What the stack tells, of the operation or what encloses its name."""
    parts = name.split("/")
    for end in range(len(parts), 0, -1):
      operation = self._operations.get("/".join(parts[:end]))
      if operation is None:
        continue
      files, functions = _places(operation)
      for place, category in _FUNCTIONS.items():
        if place in functions:
          return category
      for place, category in _FILES.items():
        if place in files:
          return category
      return None
    return None

  def _of_name(self, name, kind):
    if _MATMUL_TYPES.search(kind):
      # What is fused into a product is a part of it.
      # Scores and weighted sums, not projections.
      attends = "BatchMatMul" in kind or re.search(
          r"self_attention/einsum(_\d+)?/", name)
      return ATTENTION if attends else MATMUL
    lower = name.lower()
    for part, category in (
        ("dropout", DROPOUT), ("random_uniform", DROPOUT),
        ("softmax", SOFTMAX), ("gelu", GELU), ("activation", GELU),
        ("layer_norm", NORM), ("layernorm", NORM), ("clip_by", UPDATE),
        ("adam", UPDATE), ("global_norm", UPDATE)):
      if part in lower:
        return category
    if kind in ("BiasAdd", "BiasAddGrad") or re.search(
        r"/(query|key|value|attention_output|intermediate|output)/"
        r"(add|BiasAdd)", name):
      return BIAS
    for kinds, category in ((_COPY_TYPES, COPIES), (_GATHER_TYPES, GATHERS),
                            (_ELEMENTWISE_TYPES, ELEMENTWISE)):
      if kind in kinds:
        return category
    return OTHER
