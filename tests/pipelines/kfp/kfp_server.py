"""An API server of Kubeflow Pipelines, as far as Twintrain calls it: HTTP on loopback, state in
memory.

Every call must name a path of KFP's published swagger, and every body must be what that path takes:
no unknown field, no wrong type. Without that, a test against a fake would prove nothing about the
real one."""

from __future__ import annotations

import itertools
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf import json_format
from jsonschema import Draft4Validator
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

SWAGGER = json.loads((Path(__file__).parent / "kfp_api_2.17.swagger.json").read_text())


def _strict(schema: Any) -> Any:
    """A swagger schema as JSON schema: unknown fields refused, int64 as text or number (protobuf's
    JSON has both).
    """
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int64":
        return {"type": ["string", "integer"]}
    made = {key: _strict(value) for key, value in schema.items()}
    if "properties" in made and isinstance(made["properties"], dict) and "type" in made:
        made["additionalProperties"] = False
    return made


DEFINITIONS = _strict(SWAGGER["definitions"])


class KfpServer(ThreadingHTTPServer):
    """See the module.

    Attributes:
        token: the bearer token asked for; None for none.
        outages: how many of the next calls are answered 503.
        lost: whether creating calls are obeyed and then answered 504.
        calls: method and path of every call.
        runs, recurring, experiments: what was created.
    """

    def __init__(self) -> None:
        self.token: str | None = None
        self.outages = 0
        self.lost = False
        self._numbers = itertools.count(1)
        self.calls: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """The answer to a call that has passed validation."""
        kind, identifier = re.fullmatch(r"/apis/v2beta1/(\w+)(?:/([\w-]+))?", path).groups()  # type: ignore[union-attr]
        if kind == "healthz":
            return {"multi_user": False}
        store, key = {
            "experiments": (self.experiments, "experiment_id"),
            "recurringruns": (self.recurring, "recurring_run_id"),
            "runs": (self.runs, "run_id"),
        }[kind]
        if method == "POST":
            if "pipeline_spec" in body:
                documents = body["pipeline_spec"]
                json_format.ParseDict(documents.get("pipeline_spec", documents), PipelineSpec())
            made = body | {
                key: f"{kind}-{next(self._numbers)}",
                "created_at": "2026-01-01T00:00:00Z",
            }
            store[made[key]] = made
            return made
        if method == "DELETE":
            return {} if store.pop(identifier, None) else None
        if identifier:
            return store.get(identifier)
        return {
            {"experiments": "experiments", "recurringruns": "recurringRuns", "runs": "runs"}[
                kind
            ]: [one for one in store.values() if _matches(one, query.get("filter"))]
        }


def _matches(one: dict[str, Any], wanted: str | None) -> bool:
    for predicate in json.loads(wanted)["predicates"] if wanted else []:
        field, value = predicate["key"], predicate.get("string_value", predicate.get("stringValue"))
        if one.get({"name": "display_name"}.get(field, field)) != value:
            return False
    return True


class _Handler(BaseHTTPRequestHandler):
    server: KfpServer

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.calls.append(f"{self.command} {url.path}")
        if self.server.outages:
            self.server.outages -= 1
            self._say(503, {"message": "upstream connect error"})
        elif (
            self.server.token and self.headers.get("authorization") != f"Bearer {self.server.token}"
        ):
            self._say(401, {"message": "Request header error: there is no user identity header."})
        elif problems := list(_problems(self.command, url.path, body)):
            self._say(400, {"message": "; ".join(problems)})
        else:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            found = self.server.answer(self.command, url.path, query, body)
            if self.server.lost and self.command == "POST" and not url.path.endswith("experiments"):
                self._say(504, {"message": "upstream request timeout"})
                return
            self._say(
                404 if found is None else 200, {"message": "not found"} if found is None else found
            )

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _say(self, status: int, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _problems(method: str, path: str, body: Any) -> Any:
    """What KFP's swagger has against a call."""
    for template, operations in SWAGGER["paths"].items():
        if (
            re.fullmatch(re.sub(r"\{[^}]+\}", r"[^/:]+", template), path)
            and method.lower() in operations
        ):
            operation = operations[method.lower()]
            break
    else:
        yield f"{method} {path} is not in the API"
        return
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "body":
            schema = {**_strict(parameter["schema"]), "definitions": DEFINITIONS}
            for error in Draft4Validator(schema).iter_errors(body):
                yield f"{'/'.join(map(str, error.path))}: {error.message}"
