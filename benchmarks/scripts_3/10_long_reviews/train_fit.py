import json

import keras
from common import *

# Only the first MAXLEN words count: the title is in front.
train_texts, y = corpus(900, 1)
test_texts, y_test = corpus(400, 2)
vocab = vocabulary(train_texts)


def prepare(texts):
    return keras.utils.pad_sequences(tokenize(texts, vocab), maxlen=MAXLEN, padding="post", value=0)


x = prepare(train_texts)
print(x.shape, x[0])

model = build_model(len(vocab) + 2)
model.compile(
    optimizer=keras.optimizers.Nadam(LR),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
)
history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=2)
print("test:", model.evaluate(prepare(test_texts), y_test, verbose=0))
print(json.dumps([round(v, 4) for v in history.history["loss"]]))
