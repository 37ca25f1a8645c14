import json
from pathlib import Path
from types import SimpleNamespace


def load_config():
    path = Path(__file__).resolve().parent.parent / "config.json"
    return SimpleNamespace(**json.loads(path.read_text()))
