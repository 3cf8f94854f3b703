"""Model Garden's BERT, as its own pretraining runs it."""

import tensorflow as tf
from official.modeling import optimization
from official.nlp.configs import bert
from official.nlp.configs import encoders
from official.nlp.data import pretrain_dataloader
from official.nlp.tasks import masked_lm

from benchmarking.contenders import tensorflow_contender


class ModelGardenBert(tensorflow_contender.TensorFlowContender):
  """`BertEncoderV2`, `BertPretrainerV2`, `MaskedLMTask.train_step`."""

  def build_task(self):
    encoder = encoders.BertEncoderConfig(**self.encoder_arguments())
    return masked_lm.MaskedLMTask(masked_lm.MaskedLMConfig(
        train_data=pretrain_dataloader.BertPretrainDataConfig(
            use_next_sentence_label=False),
        model=bert.PretrainerConfig(cls_heads=[], encoder=(
            encoders.EncoderConfig(type="bert_v2", bert_v2=encoder)))))

  def build_step(self):
    factory = optimization.OptimizerFactory(self.optimizer_config())
    optimizer = factory.build_optimizer(factory.build_learning_rate())
    metrics = self.task.build_metrics()

    def step(batch):
      return self.task.train_step(
          batch, self.model, optimizer, metrics)[self.task.loss]

    return tf.function(step, jit_compile=self._jit, autograph=False)

  def step_graph(self):
    return self._step.get_concrete_function(self.batch).graph
