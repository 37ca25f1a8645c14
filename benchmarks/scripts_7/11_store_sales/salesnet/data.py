"""Weekly sales of a small shop chain (simulated, the real numbers stay in the company)."""
import numpy as np
import pandas as pd
import tensorflow as tf


def sales_table(s):
    rng = np.random.default_rng(s.seed)
    df = pd.MultiIndex.from_product([range(s.n_stores), range(s.n_weeks)], names=["store", "week"]).to_frame(index=False)
    size = rng.normal(0, 0.5, s.n_stores)
    df["promo"] = (rng.random(len(df)) < 0.3).astype("float32")
    df["temp"] = 12 + 9 * np.sin(2 * np.pi * df.week / 52) + rng.normal(0, 3, len(df))
    df["price"] = rng.normal(10, 1, len(df))
    effect = 0.25 + 0.2 * rng.random(s.n_stores)
    df["log_sales"] = (5 + size[df.store] + effect[df.store] * df.promo - 0.08 * (df.price - 10)
                       + 0.01 * df.temp + rng.normal(0, 0.3, len(df)))
    return df


def datasets(s):
    """(train, val) as tf.data, dict inputs. Rows are mixed once here and then keep their order."""
    df = sales_table(s)
    val = df[df.week >= s.n_weeks - 6]
    train = df[df.week < s.n_weeks - 6].sample(frac=1.0, random_state=s.seed)
    center = train[["temp", "price"]].mean()
    spread = train[["temp", "price"]].std()
    base = train.log_sales.mean()

    def to_ds(part):
        z = (part[["temp", "price"]] - center) / spread
        x = {
            "store": part.store.to_numpy("int32"),
            "numbers": np.column_stack([part.promo, z]).astype("float32"),
        }
        y = (part.log_sales - base).to_numpy("float32")[:, None]
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(s.batch_size).cache()

    return to_ds(train), to_ds(val)
