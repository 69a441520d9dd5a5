"""Holds recorded exchanges with the simulated project to Google's own discovery documents.

Each line of the file given is one exchange: method, path, query, what was sent, status, what was answered. Every
one must be a method of the document, with parameters it knows, a body of its schema and an answer of its schema.
"""

import json
import pathlib
import re
import sys

import googleapiclient

DOCUMENTS = pathlib.Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
# By the first part of a path.
NAMES = {"compute": "compute.v1", "dns": "dns.v1"}
# Kinds a JSON value may have, by the schema's word.
KINDS = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict}


class Document:
    def __init__(self, name):
        self.whole = json.loads((DOCUMENTS / f"{name}.json").read_text())
        self.schemas = self.whole["schemas"]
        self.common = set(self.whole["parameters"])
        self.methods = list(self.walk(self.whole))

    def walk(self, resource):
        for method in resource.get("methods", {}).values():
            path = self.whole["servicePath"] + method["path"]
            pattern = re.sub(r"\\\{\\?\+?\w+\\\}", "[^/]+", re.escape(path))
            yield re.compile(pattern + "$"), method
        for inner in resource.get("resources", {}).values():
            yield from self.walk(inner)

    def method(self, verb, path):
        for pattern, method in self.methods:
            if method["httpMethod"] == verb and pattern.match(path):
                return method
        return None

    def check(self, value, schema, where):
        """What of a value is not as its schema has it."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        kind = schema.get("type", "any")
        if kind == "any":
            return
        if not isinstance(value, KINDS[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
            yield f"{where}: {value!r} is no {kind}"
            return
        if schema.get("format") in ("int64", "uint64") and not re.fullmatch(r"-?\d+", value):
            yield f"{where}: {value!r} is no number in a string"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where}: {value!r} is none of {schema['enum']}"
        # A list's pattern is its items'.
        for text in value if kind == "array" else [value]:
            if "pattern" in schema and not re.fullmatch(schema["pattern"], text):
                yield f"{where}: {text!r} does not match {schema['pattern']}"
        if kind == "array":
            for at, item in enumerate(value):
                yield from self.check(item, schema["items"], f"{where}[{at}]")
        if kind == "object":
            known, rest = schema.get("properties", {}), schema.get("additionalProperties")
            for key, item in value.items():
                if key in known:
                    yield from self.check(item, known[key], f"{where}.{key}")
                elif rest is not None:
                    yield from self.check(item, rest, f"{where}.{key}")
                else:
                    yield f"{where}.{key}: nobody knows this field"


def judge(documents, exchange):
    path = exchange["path"]
    document = documents[NAMES.get(path.split("/")[0], "cloudresourcemanager.v1")]
    method = document.method(exchange["method"], path)
    if method is None:
        return [f"{exchange['method']} {path}: no such method"]
    here = f"{exchange['method']} {path}"
    wrong = []
    known = set(method.get("parameters", {})) | document.common
    for key, value in exchange["query"]:
        if key not in known:
            wrong.append(f"{here}: nobody knows the parameter {key}")
        elif key in method.get("parameters", {}):
            pattern = method["parameters"][key].get("pattern")
            if pattern and not re.fullmatch(pattern, value):
                wrong.append(f"{here}: {key}={value!r} does not match {pattern}")
    if exchange["sent"] is not None and "request" in method:
        wrong += document.check(exchange["sent"], method["request"], here)
    if exchange["status"] == 200 and "response" in method:
        wrong += document.check(exchange["answered"], method["response"], here + " ->")
    elif exchange["status"] != 200:
        error = exchange["answered"].get("error", {})
        if error.get("code") != exchange["status"] or not error.get("message"):
            wrong.append(f"{here}: {exchange['answered']} is no error")
    return wrong


def main(file):
    documents = {name: Document(name) for name in (*NAMES.values(), "cloudresourcemanager.v1")}
    lines = pathlib.Path(file).read_text().splitlines()
    wrong = sorted({line for text in lines for line in judge(documents, json.loads(text))})
    for line in wrong:
        print(line)
    print(f"{len(lines)} exchanges, {len(wrong)} wrong")
    return 1 if wrong or not lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
