"""Which pitfalls are looked for: each check declares its own, and nothing else lists them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from twintrain.diagnosis.catalogue import by_id
from twintrain.diagnosis.stages.pair import Pair

Arguments = ParamSpec("Arguments")
Check = Callable[Concatenate[Pair, Arguments], bool]

# Filled as the stages are imported.
LOOKED_FOR: set[str] = set()


def looks_for(*ids: str) -> Callable[[Check[Arguments]], Check[Arguments]]:
    """Declare the pitfalls that a check of a pair would name.

    The check says whether it could look: where it could, these are ruled out unless they were
    found.

    Raises:
        TwintrainError: the catalogue has no such id.
    """
    LOOKED_FOR.update(by_id(id_).id for id_ in ids)

    def declared(check: Check[Arguments]) -> Check[Arguments]:
        @functools.wraps(check)
        def checked(pair: Pair, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> bool:
            looked = check(pair, *arguments, **named)
            if looked:
                pair.findings.ruled_out.update(ids)
            return looked

        return checked

    return declared
