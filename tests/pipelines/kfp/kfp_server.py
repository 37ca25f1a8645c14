"""An API server of Kubeflow Pipelines, as far as Twintrain calls it: HTTP on loopback, state in
memory.

Every call must name a path of KFP's published swagger, and every body must be what that path takes:
no unknown field, no wrong type. Without that, a test against a fake would prove nothing about the
real one.

Beyond the swagger it does what the real one (2.17.0) was seen to do: it unescapes a filter once
more than HTTP does, fills in a service account, refuses what robfig/cron 1.2.0 does not parse and
parameters of the wrong type, wants a namespace for every list of a multi-user installation, keeps a
pipeline that has versions, and makes no experiment twice. For Argo it refuses retry factors that
are no whole numbers: the real server takes them, and the first failure then ends the step."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import yaml
from google.protobuf import json_format
from jsonschema import Draft4Validator
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

SWAGGER = json.loads((Path(__file__).parent / "kfp_api_2.17.swagger.json").read_text())
# How kubectl's proxy reaches the server where no host is given.
_PROXY = r"/+api/v1/namespaces/([^/]+)/services/ml-pipeline:http/proxy/+"
_TYPES = {"STRING": str, "NUMBER_INTEGER": (int, float), "LIST": list}
_NUMBER = r"\+?[0-9]+"
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DAYS = "sun|mon|tue|wed|thu|fri|sat"
_FIELDS = ((0, 59, ""), (0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, _MONTHS), (0, 6, _DAYS))


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


class _RefusalError(Exception):
    """An answer other than 200: its status and what it says."""


class KfpServer(ThreadingHTTPServer):
    """See the module.

    Attributes:
        token: the bearer token asked for; None for none.
        outages: how many of the next calls are answered 503.
        lost: whether creating calls are obeyed and then answered 504.
        answers: what the next calls are answered instead: status and text.
        multi_user, unescapes: kinds of installation and of server.
        native, tag: whether it keeps metadata by itself, without ML Metadata; its version.
        namespace: where kubectl's proxy finds it.
        calls: method and path of every call.
        runs, recurring, experiments, pipelines, versions: what was created.
    """

    def __init__(self) -> None:
        self.token: str | None = None
        self.outages = 0
        self.lost = False
        self.answers: list[tuple[int, str]] = []
        self.multi_user, self.unescapes, self.namespace = False, True, "kubeflow"
        self.native, self.tag = False, "2.17.0"
        self._numbers = itertools.count(1)
        self.calls: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """The answer to a call that has passed validation."""
        kind, *rest = path.removeprefix("/apis/v2beta1/").split("/")
        if kind == "healthz":
            return {"tag_name": self.tag, "commit_sha": "e6", "multi_user": self.multi_user}
        if rest and rest[0] == "upload":
            return self._upload(query, body)
        if len(rest) > 1:
            kind, rest = rest[1], rest[2:]
        store, key, listed = {
            "experiments": (self.experiments, "experiment_id", "experiments"),
            "recurringruns": (self.recurring, "recurring_run_id", "recurringRuns"),
            "runs": (self.runs, "run_id", "runs"),
            "pipelines": (self.pipelines, "pipeline_id", "pipelines"),
            "versions": (self.versions, "pipeline_version_id", "pipeline_versions"),
        }[kind]
        if method == "POST":
            return self._create(kind, store, key, body)
        if rest:
            return self._one(method, store, rest[0])
        wanted = self._filter(query.get("filter"))
        place = query.get("namespace")
        if self.multi_user and kind != "versions" and not place:
            raise _RefusalError(400, "a list cannot have an empty namespace in multi-user mode")
        return {
            listed: [
                one
                for one in store.values()
                if _matches(one, wanted)
                and (not self.multi_user or kind != "recurringruns" or one["namespace"] == place)
            ]
        }

    def _one(self, method: str, store: dict[str, dict[str, Any]], identifier: str) -> Any:
        if identifier not in store:
            raise _RefusalError(404, f"{identifier} not found")
        if method != "DELETE":
            return store[identifier]
        if any(one["pipeline_id"] == identifier for one in self.versions.values()):
            raise _RefusalError(400, f"{identifier} has existing pipeline versions")
        del store[identifier]
        return {}

    def _create(self, kind: str, store: dict[str, Any], key: str, body: dict[str, Any]) -> Any:
        name = body["display_name"]
        if kind == "experiments" and any(one["display_name"] == name for one in store.values()):
            raise _RefusalError(409, f"an experiment {name} exists already")
        made = dict(body)
        if "pipeline_spec" in body:
            documents = body["pipeline_spec"]
            spec = documents.get("pipeline_spec", documents)
            _check_spec(spec)
            _check_parameters(spec, (body.get("runtime_config") or {}).get("parameters") or {})
            made["service_account"] = body.get("service_account") or "pipeline-runner"
        if kind == "recurringruns":
            if not parses(body["trigger"]["cron_schedule"]["cron"]):
                raise _RefusalError(400, "Schedule cron is not a supported format")
            made["status"] = f"{body['mode']}D"
            place = self.experiments[body["experiment_id"]].get("namespace")
            made["namespace"] = place if self.multi_user else ""
        number = next(self._numbers)
        made |= {key: f"{kind}-{number}", "created_at": f"2026-01-01T00:00:{number:02d}Z"}
        store[made[key]] = made
        return made

    def _upload(self, query: dict[str, str], documents: list[dict[str, Any]]) -> Any:
        _check_spec(documents[0])
        number = next(self._numbers)
        made = {"pipeline_id": f"pipeline-{number}", "display_name": query["name"]}
        self.pipelines[made["pipeline_id"]] = made
        version = made | {"pipeline_version_id": f"version-{number}"}
        self.versions[version["pipeline_version_id"]] = version
        return made

    def _filter(self, given: str | None) -> list[dict[str, Any]]:
        if not given:
            return []
        if self.unescapes:
            if re.search("%(?![0-9A-Fa-f]{2})", given):
                raise _RefusalError(400, f"failed to parse valid filter from {given!r}")
            given = unquote_plus(given)
        predicates: list[dict[str, Any]] = json.loads(given)["predicates"]
        return predicates


def _matches(one: dict[str, Any], wanted: list[dict[str, Any]]) -> bool:
    for predicate in wanted:
        field, value = predicate["key"], predicate.get("string_value", predicate.get("stringValue"))
        if one.get({"name": "display_name"}.get(field, field)) != value:
            return False
    return True


def _check_spec(spec: dict[str, Any]) -> None:
    json_format.ParseDict(spec, PipelineSpec())
    components = [spec["root"], *spec["components"].values()]
    for task in (
        task for one in components for task in one.get("dag", {}).get("tasks", {}).values()
    ):
        factor = task.get("retryPolicy", {}).get("backoffFactor", 1)
        if factor != int(factor):
            raise _RefusalError(400, f"Argo: a retry factor of {factor} is no whole number")


def _check_parameters(spec: dict[str, Any], given: dict[str, Any]) -> None:
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, value in given.items():
        if name not in declared:
            raise _RefusalError(400, f"unknown parameter {name}")
        if not isinstance(value, _TYPES[declared[name]["parameterType"]]):
            raise _RefusalError(400, f"input parameter {name} requires another type")


def parses(cron: str) -> bool:
    """Whether robfig/cron 1.2.0 takes an expression of six fields."""
    fields = cron.split()
    return len(fields) == len(_FIELDS) and all(
        _part_parses(part, *bounds)
        for field, bounds in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
        if part
    )


def _part_parses(part: str, low: int, high: int, names: str) -> bool:
    value = rf"{_NUMBER}|{names}" if names else _NUMBER
    star = re.fullmatch(rf"[*?](-[^-/]*)*(/({_NUMBER}))?", part)
    if star:
        return not star[2] or int(star[3]) > 0
    span = re.fullmatch(rf"({value})(-({value}))?(/({_NUMBER}))?", part, re.IGNORECASE)
    if not span or (span[4] and int(span[5]) == 0):
        return False

    def number(text: str) -> int:
        return int(text) if re.fullmatch(_NUMBER, text) else low + names.split("|").index(text)

    start = number(span[1].lower())
    end = number(span[3].lower()) if span[2] else (high if span[4] else start)
    return low <= start <= end <= high


class _Handler(BaseHTTPRequestHandler):
    server: KfpServer

    def _serve(self) -> None:
        server = self.server
        url = urlsplit(self.path)
        path = url.path
        proxied = re.match(_PROXY, path)
        if proxied:
            path = "/" + path[proxied.end() :]
        body = self._body()
        server.calls.append(f"{self.command} {path}")
        if proxied and proxied[1] != server.namespace:
            self._say(404, {"kind": "Status", "message": f"no service in {proxied[1]}"})
        elif server.outages:
            server.outages -= 1
            self._say(503, {"message": "upstream connect error"})
        elif server.answers:
            self._say(*server.answers.pop(0))
        elif server.token and self.headers.get("authorization") != f"Bearer {server.token}":
            self._say(401, {"message": "Request header error: there is no user identity header."})
        elif server.native and path == "/apis/v2beta1/artifacts":
            self._say(200, {})
        elif (operation := _operation(self.command, path)) is None:
            self._say(404, {"message": f"{self.command} {path} is not in the API"})
        elif problems := list(_problems(operation, body)):
            self._say(400, {"message": "; ".join(problems)})
        else:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            self._answer(path, query, body)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _answer(self, path: str, query: dict[str, str], body: Any) -> None:
        try:
            found = self.server.answer(self.command, path, query, body)
        except _RefusalError as refusal:
            status, said = refusal.args
            self._say(status, {"message": said})
            return
        if self.server.lost and self.command == "POST" and not path.endswith("experiments"):
            self._say(504, {"message": "upstream request timeout"})
            return
        self._say(200, found)

    def _body(self) -> Any:
        """JSON, or the documents of an uploaded file."""
        length = int(self.headers.get("Content-Length") or 0)
        if not length:
            return None
        content, kind = self.rfile.read(length), self.headers["Content-Type"]
        if not kind.startswith("multipart/"):
            return json.loads(content)
        parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
        (part,) = parts.get_payload()
        return list(yaml.safe_load_all(part.get_payload(decode=True)))

    def _say(self, status: int, content: Any) -> None:
        page = isinstance(content, str)
        text = (content if page else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if page else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _operation(method: str, path: str) -> dict[str, Any] | None:
    """What KFP's swagger has for a call."""
    for template, operations in SWAGGER["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", r"[^/:]+", template), path):
            found: dict[str, Any] | None = operations.get(method.lower())
            return found
    return None


def _problems(operation: dict[str, Any], body: Any) -> Iterator[str]:
    """What KFP's swagger has against the body of a call."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "body":
            schema = {**_strict(parameter["schema"]), "definitions": DEFINITIONS}
            for error in Draft4Validator(schema).iter_errors(body):
                yield f"{'/'.join(map(str, error.path))}: {error.message}"
