"""What a run is told of a teacher, as dataclasses."""

import dataclasses
from typing import Optional, Sequence

from official.modeling.hyperparams import base_config

from official_style.configs import pretraining


@dataclasses.dataclass
class DistillationConfig(base_config.Config):
  """A teacher, and what of it is learnt.

  The loss is `mlm_weight` times that of plain pretraining, plus `weight` times
  the sum of these, each with its own weight:

      logits     divergence of words, at `temperature`
      hidden     distance of states
      relations  MiniLM's: divergence of Q-Q, K-K and V-V of the last layers
      attention  divergence of what the last layers look at

  Attributes:
    teacher: a run folder or checkpoint of ours, or a Hugging Face folder.
    teacher_digest: of its weights; filled in here.
    teacher_cache: what tools/cache_teacher.py wrote, instead of a teacher that
      works in every step; for `logits` only.
    teacher_cache_digest: of its manifest; filled in here.
    mlm_weight: of the masked-LM loss; 1 where `weight` is 0.
    weight: of what is learnt from the teacher; 0 is plain pretraining, to the
      last byte.
    temperature: what logits are divided by.
    positions: whose words are compared, `masked` or `all` that are no padding.
    logits_weight, hidden_weight, relations_weight, attention_weight: see above.
    hidden_layers: of the student, from 1; each is compared with the teacher's
      layer at the same share of its depth. None is the last.
    hidden_distance: `mse` or `cosine`.
    relation_heads: must divide both widths; 0 is the student's own heads.
    mask_epochs: masks repeat after so many epochs, so that a cache of as many
      serves any run; 0 is new masks in each.
  """
  teacher: str = ""
  teacher_digest: str = ""
  teacher_cache: str = ""
  teacher_cache_digest: str = ""
  mlm_weight: float = 0.1
  weight: float = 0.5
  temperature: float = 2.0
  positions: str = "masked"
  logits_weight: float = 1.0
  hidden_weight: float = 0.0
  relations_weight: float = 0.0
  attention_weight: float = 0.0
  hidden_layers: Optional[Sequence[int]] = None
  hidden_distance: str = "mse"
  relation_heads: int = 0
  mask_epochs: int = 0

  @property
  def is_on(self) -> bool:
    return self.weight > 0

  @property
  def needs_teacher(self) -> bool:
    """Whether the teacher itself works in every step."""
    return self.is_on and not self.teacher_cache


@dataclasses.dataclass
class DistillationTaskConfig(pretraining.PretrainingTaskConfig):
  """Masked-language-model pretraining beside a teacher."""
  distillation: DistillationConfig = dataclasses.field(
      default_factory=DistillationConfig)
