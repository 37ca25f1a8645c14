"""Runs both trainers of digitlab and shows their logs under each other."""
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pandas as pd

from digitlab import fit_runner
from digitlab.config import load_config
from digitlab.data import Digits
from digitlab.loop_runner import LoopRunner


def main():
    cfg = load_config()
    digits = Digits(cfg)
    out = tempfile.mkdtemp(prefix="digitlab_")
    logs = {name: os.path.join(out, name + ".csv") for name in ("fit", "loop")}

    fit_runner.run(cfg, digits, logs["fit"])
    LoopRunner(cfg, digits).run(logs["loop"])

    for name, path in logs.items():
        print(name)
        print(pd.read_csv(path).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
