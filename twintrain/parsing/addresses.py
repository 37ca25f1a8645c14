"""Addresses that people give, which end up in logs, lineage and messages."""

from __future__ import annotations

from urllib.parse import urlsplit

from twintrain.errors import TwintrainError

# Where what stands before the @ is no account (as in sftp://) and no container (as in abfs://).
_KEYS = ("http", "https", "s3", "gs", "minio")


def refuse_credentials(address: str, name: str) -> None:
    """See that an address has no password in it, and where a user name alone is a key or a token,
    none of these.

    Args:
        address: a URL or a path.
        name: what it is the address of, as the beginning of a sentence.

    Raises:
        TwintrainError: it has; they are not in the message.
    """
    try:
        found = urlsplit(address)
        key = found.username if found.scheme in _KEYS else None
        secret, host = found.password or key, found.hostname
    except ValueError:  # no address at all: whoever opens it says so
        return
    if secret and "://" in address:
        raise TwintrainError(
            f"{name} ({found.scheme}://…@{host or ''}) has a key or a password in it, which "
            "would be written into logs and lineage.",
            "Leave it out; credentials belong into the environment, or into the client's own file.",
        )
