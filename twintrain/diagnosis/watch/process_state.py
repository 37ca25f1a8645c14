"""The state of the process that trainings like to change, and the time they take."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.recording import Enough


@contextmanager


@contextmanager
