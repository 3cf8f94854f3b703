"""Imports every task, which is what registers them."""

from official_style.tasks import distillation  # noqa: F401
from official_style.tasks import masked_lm_pretraining  # noqa: F401
from official_style.tasks import sentence_prediction  # noqa: F401
