from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.errors import TwintrainError
from twintrain.parsing.addresses import refuse_credentials


@pytest.mark.parametrize(
    "address",
    [
        "s3://key:hush@bucket/records",
        "sftp://me:hush@host/x",
        "https://hush@kfp.example",
        "https://me:hush@[::1]:8888/x",
    ],
)
def test_credentials_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(TwintrainError, match=r"^The place .* has a key or") as refused:
        refuse_credentials(address, "The place")
    assert "hush" not in f"{refused.value}"


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/a@b",
        "abfs://records@acct.dfs.core.windows.net/x",
        "sftp://me@host/x",
        "runs/me@home/records",
        "https://kfp:8888",
        "C:/x",
        "http://[::1",
    ],
)
def test_addresses_without_any_pass(address: str) -> None:
    assert not refused(address)


def refused(address: str) -> bool:
    try:
        refuse_credentials(address, "The place")
    except TwintrainError:
        return True
    return False


@given(st.one_of(st.text(max_size=30), st.text("sftp:/@hu", max_size=16).map("s3://".__add__)))
def test_only_what_stands_before_an_at_sign_is_refused(address: str) -> None:
    if refused(address):
        assert "@" in address
        assert "://" in address
