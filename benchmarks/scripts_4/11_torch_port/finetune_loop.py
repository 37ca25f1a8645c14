"""Line-by-line port of finetune.py (PyTorch): loader, zero_grad, backward,
clip_grad_norm_, step.  The torch idioms are kept on purpose."""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
import keras

seed = 0
micro_batch_size = 8
accum_iter = 4
num_epochs = 4


def get_data():
    rng = np.random.default_rng(42)
    x = rng.standard_normal((215, 10, 6)).astype(np.float32)
    w = rng.standard_normal(6)
    logits = x @ w
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    y = np.einsum("nt,ntd->nd", p, x)[:, :2] + 0.1 * rng.standard_normal((215, 2))
    return x, y.astype(np.float32)


class Net(keras.Model):
    """self.embed -> self.attn -> residual + norm -> mean -> self.head"""

    def __init__(self):
        super().__init__()
        self.embed = keras.layers.Dense(16)
        self.attn = keras.layers.MultiHeadAttention(num_heads=2, key_dim=8)
        self.norm = keras.layers.LayerNormalization()
        self.head = keras.layers.Dense(2)

    def call(self, x):
        h = self.embed(x)
        h = self.norm(h + self.attn(h, h))
        return self.head(tf.reduce_mean(h, axis=1))


class DataLoader:
    def __init__(self, x, y, batch_size, shuffle=True):
        self.x, self.y, self.bs, self.shuffle = x, y, batch_size, shuffle
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return -(-len(self.x) // self.bs)

    def __iter__(self):
        idx = self.rng.permutation(len(self.x)) if self.shuffle else np.arange(len(self.x))
        for k in range(len(self)):
            i = idx[k * self.bs:(k + 1) * self.bs]
            yield tf.constant(self.x[i]), tf.constant(self.y[i])


class Grads:
    """.grad fields of all parameters"""

    def __init__(self, params):
        self.buf = [tf.Variable(tf.zeros(p.shape), trainable=False) for p in params]

    def zero_(self):
        for b in self.buf:
            b.assign(tf.zeros_like(b))

    def add_(self, grads):
        for b, g in zip(self.buf, grads):
            b.assign_add(g)

    def clip_grad_norm_(self, max_norm):
        norm = tf.linalg.global_norm(self.buf)
        scale = tf.minimum(1.0, max_norm / norm)
        for b in self.buf:
            b.assign(b * scale)
        return norm


def main():
    keras.utils.set_random_seed(seed)
    x, y = get_data()
    net = Net()
    net(x[:1])
    params = net.trainable_variables
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=0.02)
    optimizer.exclude_from_weight_decay(var_list=[p for p in params if len(p.shape) == 1])
    grads = Grads(params)
    loader = DataLoader(x, y, micro_batch_size)

    @tf.function(reduce_retracing=True)
    def forward_backward(xb, yb):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(net(xb, training=True) - yb))
            scaled = loss / accum_iter
        grads.add_(tape.gradient(scaled, params))
        return loss

    global_step = 0
    grads.zero_()
    for epoch in range(num_epochs):
        net_loss = 0.0
        for xb, yb in loader:
            net_loss += forward_backward(xb, yb).numpy()
            global_step += 1
            if global_step % accum_iter == 0:
                grads.clip_grad_norm_(1.0)
                optimizer.apply_gradients(zip([tf.identity(b) for b in grads.buf], params))
                grads.zero_()
        print(f"epoch {epoch}: {net_loss / len(loader):.4f}")
    print("train mse", float(tf.reduce_mean((net(x) - y) ** 2)))
    return net


if __name__ == "__main__":
    main()
