"""Each operation as one would call it: with curl, in Python, in JavaScript. The tests run every one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from rushes.api.openapi.examples import ORIGIN

Operation = Mapping[str, Any]

_FILE_OPERATIONS = ("get_video_file", "get_image_file", "get_upload")


class Call(NamedTuple):
    """One request."""

    method: str
    url: str
    with_key: bool
    body: Mapping[str, Any] | None
    sends: str | None
    """The name of a file that is sent."""
    keeps: str | None
    """The name of the file that the answer is kept in."""


def sampled(paths: Mapping[str, Mapping[str, Operation]]) -> dict[str, dict[str, Any]]:
    """The same operations, each with its samples."""
    return {
        path: {
            method: {**operation, "x-codeSamples": _samples(_call(method, ORIGIN + path, operation))}
            for method, operation in operations.items()
        }
        for path, operations in paths.items()
    }


def _samples(call: Call) -> list[dict[str, str]]:
    written = {
        "Shell": ("curl", _curl(call)),
        "Python": ("Python", _python(call)),
        "JavaScript": ("JavaScript", _javascript(call)),
    }
    return [{"lang": language, "label": label, "source": source} for language, (label, source) in written.items()]


def _call(method: str, url: str, operation: Operation) -> Call:
    asked = operation.get("parameters", [])
    for parameter in asked:
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", parameter["example"])
    if query := {each["name"]: each["example"] for each in asked if each["in"] == "query" and each.get("required")}:
        url = f"{url}?{urlencode(query)}"
    media = operation.get("requestBody", {}).get("content", {})
    return Call(
        method=method.upper(),
        url=url,
        with_key=operation.get("security") != [],
        body=media["application/json"]["example"] if "application/json" in media else None,
        sends="lighthouse.png" if "image/png" in media else None,
        keeps=_kept(url) if operation["operationId"] in _FILE_OPERATIONS else None,
    )


def _kept(url: str) -> str:
    return "lighthouse." + url.rpartition(".")[2]


def _curl(call: Call) -> str:
    parts = [f"curl{_curl_method(call)} '{call.url}'"]
    parts += ['-H "Authorization: $KEY"'] if call.with_key else []
    if call.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d '{_json(call.body)}'"]
    if call.sends:
        parts += ["-H 'Content-Type: image/png'", f"--upload-file {call.sends}"]
    parts += [f"-o {call.keeps}"] if call.keeps else []
    return " \\\n  ".join(parts)


def _curl_method(call: Call) -> str:
    implied = call.method == "GET" or call.body is not None or call.sends
    return "" if implied else f" -X {call.method}"


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)


def _python(call: Call) -> str:
    arguments = [f'"{call.url}"']
    if headers := [*_python_key(call), *(['"Content-Type": "image/png"'] if call.sends else [])]:
        arguments.append(f"headers={{{', '.join(headers)}}}")
    arguments += [f"json={_json(call.body)}"] if call.body is not None else []
    arguments += [f'content=Path("{call.sends}").read_bytes()'] if call.sends else []
    imports = [
        *(["import os"] if call.with_key else []),
        *(["from pathlib import Path"] if call.sends or call.keeps else []),
    ]
    sent = "".join(f"\n    {argument}," for argument in arguments)
    lines = [
        *imports,
        *([""] if imports else []),
        "import httpx2",
        "",
        f"answer = httpx2.{call.method.lower()}({sent}\n)",
    ]
    return "\n".join([*lines, "answer.raise_for_status()", _python_end(call)])


def _python_key(call: Call) -> list[str]:
    return ['"Authorization": os.environ["KEY"]'] if call.with_key else []


def _python_end(call: Call) -> str:
    return f'Path("{call.keeps}").write_bytes(answer.content)' if call.keeps else "print(answer.text)"


def _javascript(call: Call) -> str:
    headers = [*_javascript_key(call), *_javascript_type(call)]
    options = [f'method: "{call.method}"'] if call.method != "GET" else []
    options += [f"headers: {{ {', '.join(headers)} }}"] if headers else []
    options += [f"body: JSON.stringify({_json(call.body)})"] if call.body is not None else []
    options += [f'body: await readFile("{call.sends}")'] if call.sends else []
    told = "".join(f"\n  {option}," for option in options)
    second = f", {{{told}\n}}" if options else ""
    lines = [*_javascript_imports(call), f'const answer = await fetch("{call.url}"{second});']
    return "\n".join([*lines, "if (!answer.ok) throw new Error(await answer.text());", _javascript_end(call)])


def _javascript_imports(call: Call) -> list[str]:
    needed = "readFile" if call.sends else "writeFile" if call.keeps else None
    return [f'import {{ {needed} }} from "node:fs/promises";', ""] if needed else []


def _javascript_key(call: Call) -> list[str]:
    return ["Authorization: process.env.KEY"] if call.with_key else []


def _javascript_type(call: Call) -> list[str]:
    sent = "application/json" if call.body is not None else "image/png" if call.sends else None
    return [f'"Content-Type": "{sent}"'] if sent else []


def _javascript_end(call: Call) -> str:
    if call.keeps:
        return f'await writeFile("{call.keeps}", Buffer.from(await answer.arrayBuffer()));'
    return "console.log(await answer.text());"
