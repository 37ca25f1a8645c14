"""What Kubernetes takes as a name, a quantity or a label, so that cluster.yaml is refused here and
not by the API server when a pod is made.

The rules are those of apimachinery's validation (`util/validation`), for which the Python client
has no counterpart; quantities are read by the Python client's own parser.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from kubernetes.utils.quantity import parse_quantity
from pydantic import AfterValidator

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
# The client's parser takes more than Kubernetes: "1K", "1_000", "nan".
_QUANTITY = r"\+?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?"
_LONGEST_LABEL, _LONGEST_NAME = 63, 253


def _matches(text: str, pattern: str, longest: int) -> bool:
    return len(text) <= longest and re.fullmatch(pattern, text, re.ASCII) is not None


def is_label_name(text: str) -> bool:
    """Whether it can name a volume of a pod: an RFC 1123 label."""
    return _matches(text, _LABEL, _LONGEST_LABEL)


def is_qualified_name(text: str) -> bool:
    """Whether it can be a label's key or a resource: a name, with or without a domain before it."""
    domain, slash, name = text.rpartition("/")
    if slash and not _matches(domain, rf"{_LABEL}(\.{_LABEL})*", _LONGEST_NAME):
        return False
    return _matches(name, _QUALIFIED, _LONGEST_LABEL)


def amount(quantity: str) -> Decimal:
    """A Kubernetes quantity in its base unit: cores or bytes.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(_QUANTITY, quantity, re.ASCII):
        raise ValueError("is no Kubernetes quantity, such as 2, 500m, 8Gi or 16G")
    return Decimal(parse_quantity(quantity))


def _object_name(text: str) -> str:
    if not _matches(text, rf"{_LABEL}(\.{_LABEL})*", _LONGEST_NAME):
        raise ValueError(
            "is no name of a Kubernetes object: lower-case letters, digits, - and ., 253 at most, "
            "letters or digits at both ends"
        )
    return text


def _volume_name(text: str) -> str:
    if not is_label_name(text):
        raise ValueError(
            "KFP names the pod's volume after its claim: lower-case letters, digits and -, no "
            "dots, 63 at most, letters or digits at both ends"
        )
    return text


def _resource(text: str) -> str:
    if not is_qualified_name(text) or "/" not in text:
        raise ValueError("is no Kubernetes resource, such as nvidia.com/gpu")
    return text


def _variable(text: str) -> str:
    if not _matches(text, r"[-._A-Za-z][-._A-Za-z0-9]*", _LONGEST_NAME):
        raise ValueError(
            "is no name of an environment variable: letters, digits, _, - and ., no digit first"
        )
    return text


def _key(text: str) -> str:
    if not _matches(text, r"[-._A-Za-z0-9]+", _LONGEST_NAME) or text in (".", ".."):
        raise ValueError("is no key of a Secret: letters, digits, -, _ and .")
    return text


def _label_key(text: str) -> str:
    if not is_qualified_name(text):
        raise ValueError("is no key of a label, such as pool or cloud.google.com/gke-accelerator")
    return text


def _label_value(text: str) -> str:
    if text and not _matches(text, _QUALIFIED, _LONGEST_LABEL):
        raise ValueError(
            "is no value of a label: letters, digits, -, _ and ., 63 at most, letters or digits "
            "at both ends"
        )
    return text


def _positive(quantity: str) -> str:
    if amount(quantity) <= 0:
        raise ValueError("must be more than 0")
    return quantity


ObjectName = Annotated[str, AfterValidator(_object_name)]
VolumeName = Annotated[str, AfterValidator(_volume_name)]
ResourceName = Annotated[str, AfterValidator(_resource)]
VariableName = Annotated[str, AfterValidator(_variable)]
SecretKey = Annotated[str, AfterValidator(_key)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
Quantity = Annotated[str, AfterValidator(_positive)]
