"""Arabic -> roman numerals as a toy translation corpus (padded with 0)."""
import numpy as np

PAD, START, END = 0, 1, 2
ROMAN = "IVXLCDM"
SRC_LEN = 4
TGT_LEN = 12
SRC_VOCAB = 10 + 1
TGT_VOCAB = len(ROMAN) + 3

_TABLE = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
    (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
]


def to_roman(n):
    out = ""
    for value, sym in _TABLE:
        while n >= value:
            out += sym
            n -= value
    return out


def encode(numbers):
    src = np.zeros((len(numbers), SRC_LEN), "int32")
    dec_in = np.zeros((len(numbers), TGT_LEN), "int32")
    dec_out = np.zeros((len(numbers), TGT_LEN), "int32")
    for row, n in enumerate(numbers):
        digits = [int(c) + 1 for c in str(n)]
        target = [ROMAN.index(c) + 3 for c in to_roman(n)]
        src[row, : len(digits)] = digits
        dec_in[row, : len(target) + 1] = [START] + target
        dec_out[row, : len(target) + 1] = target + [END]
    return src, dec_in, dec_out


def corpus(limit=1600, n_val=256, seed=9):
    numbers = [n for n in range(1, limit) if len(to_roman(n)) < TGT_LEN]
    numbers = np.random.default_rng(seed).permutation(numbers)
    return encode(numbers[n_val : n_val + 1024]), encode(numbers[:n_val])
