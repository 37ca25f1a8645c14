"""The same run in plain TensorFlow: no Keras optimizer, loss or metric in here.

Needs: SGD with Nesterov momentum, decoupled weight decay and a clipped global norm.
"""
import csv
import math

import tensorflow as tf

from .nets import convnet


class Sgd:
    def __init__(self, variables, cfg, steps):
        self.cfg = cfg
        self.variables = variables
        self.velocity = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in variables]
        self.up = cfg.warmup_epochs * steps
        self.total = cfg.epochs * steps

    def lr(self, step):
        if step < self.up:
            return self.cfg.peak_lr * step / self.up
        return self.cfg.peak_lr * (0.5 + 0.5 * math.cos(math.pi * (step - self.up) / (self.total - self.up)))

    def update(self, grads, lr):
        grads, _ = tf.clip_by_global_norm(grads, self.cfg.clip)
        mu = self.cfg.momentum
        for v, vel, g in zip(self.variables, self.velocity, grads):
            v.assign(v * (1.0 - lr * self.cfg.weight_decay))
            vel.assign(mu * vel - lr * g)
            v.assign_add(mu * vel - lr * g)


class LoopRunner:
    def __init__(self, cfg, digits):
        self.cfg, self.digits = cfg, digits
        self.model = convnet(cfg)
        self.sgd = Sgd(self.model.trainable_variables, cfg, digits.steps)

    @staticmethod
    def figures(logits, y):
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        right = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=y.dtype), y), tf.float32)
        top3 = tf.cast(tf.math.in_top_k(targets=y, predictions=logits, k=3), tf.float32)
        return ce, tf.stack([tf.reduce_sum(ce), tf.reduce_sum(right), tf.reduce_sum(top3)])

    @tf.function
    def train_step(self, x, y, lr):
        with tf.GradientTape() as tape:
            ce, sums = self.figures(self.model(x, training=True), y)
            loss = tf.reduce_mean(ce)
        self.sgd.update(tape.gradient(loss, self.model.trainable_variables), lr)
        return sums

    @tf.function
    def val_step(self, x, y):
        return self.figures(self.model(x, training=False), y)[1]

    def run(self, csv_path):
        stream = iter(self.digits.stream())
        step = 0
        with open(csv_path, "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["epoch", "accuracy", "loss", "top3", "val_accuracy", "val_loss", "val_top3"])
            for epoch in range(self.cfg.epochs):
                sums, n = tf.zeros(3), 0
                for _ in range(self.digits.steps):
                    x, y = next(stream)
                    sums += self.train_step(x, y, tf.constant(self.sgd.lr(step), tf.float32))
                    n += len(y)
                    step += 1
                vsums, vn = tf.zeros(3), 0
                for x, y in self.digits.validation():
                    vsums += self.val_step(x, y)
                    vn += len(y)
                (loss, acc, top3), (vloss, vacc, vtop3) = (sums / n).numpy(), (vsums / vn).numpy()
                out.writerow([epoch, acc, loss, top3, vacc, vloss, vtop3])
        return self.model
