"""Requests that no OpenAI-compatible server may take, the same ones every time.

Each is made from a good request by a change after which it cannot be good any more: a field gets a
value of the wrong kind or size, a required field goes, the JSON is broken (which `json` is asked
about), or the HTTP around it is wrong. Changes to different fields may add up.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON_HEADERS = {"content-type": "application/json"}


def each(*values: Any) -> list[Any]:
    return list(values)


NUMBERS: list[Any] = ["1", True, [], {}, [1], {"a": 1}, 1e300]
WHOLE: list[Any] = ["1", True, [], {}, 1.5, 1e300, 2**80, -(2**80)]
FLAGS: list[Any] = ["true", "yes", 1, 0, 1.0, [], {}]
TEXTS: list[Any] = [5, 1.5, True, [], {}, ["x"], {"a": "b"}]
HUGE = 10**9

Invalid = Mapping[str, list[Any]]
"""Field to values that are wrong whatever the other fields are."""


@dataclass(frozen=True, slots=True)
class Malformed:
    what: str
    method: str
    target: str
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)


@dataclass(frozen=True, slots=True)
class Route:
    """`required` are the fields that cannot be left out, `text` is one that holds free text."""

    target: str
    good: Mapping[str, Any]
    required: tuple[str, ...]
    invalid: Invalid
    text: Callable[[str], dict[str, Any]]


MODEL_VALUES: list[Any] = [
    5,
    True,
    [],
    {},
    ["corral-tiny"],
    "",
    "no-such-model",
    "../../etc/passwd",
]
SAMPLING: Invalid = {
    "temperature": [*NUMBERS, -0.1, -HUGE],
    "top_p": [*NUMBERS, -0.1, 1.1],
    "top_k": [*WHOLE, -2],
    "min_p": [*NUMBERS, -0.1, 1.1],
    "typical_p": [*NUMBERS, -1],
    "seed": WHOLE,
    "presence_penalty": [*NUMBERS, 2.5, -2.5],
    "frequency_penalty": [*NUMBERS, HUGE],
    "repeat_penalty": [*NUMBERS, -1],
    "repeat_last_n": [*WHOLE, -2, 2**31],
    "dry_multiplier": [*NUMBERS, -1],
    "dry_base": NUMBERS,
    "dry_allowed_length": [*WHOLE, -1],
    "dry_penalty_last_n": [*WHOLE, -2, 2**31],
    "dry_sequence_breakers": ["x", 5, [1], {}, ["x"] * 17, ["x" * 65]],
    "xtc_probability": [*NUMBERS, -1, 2],
    "xtc_threshold": [*NUMBERS, -1, 2],
    "mirostat": [*WHOLE, 3, -1],
    "mirostat_tau": [*NUMBERS, -1],
    "mirostat_eta": [*NUMBERS, -1],
    "logit_bias": ["x", 5, [], {"a": 1}, {"1": "x"}, {"1": 1000}, {"-1": 1}, {"99999999": 1}],
    "max_tokens": [*WHOLE, -5],
    "min_tokens": [*WHOLE, -1, HUGE],
    "stop": [5, True, {}, [5], [["x"]], [None]],
    "stop_token_ids": ["x", 5, {}, ["1"], [1.5], [-1], [HUGE]],
    "ignore_eos": FLAGS,
    "n": [*WHOLE, 0, -1, HUGE],
    "stream": FLAGS,
    "stream_options": ["x", 5, [], {"include_usage": "yes"}, {"include_usage": 1}],
    "user": TEXTS,
    "priority": [*WHOLE, -1, 1001, "urgent", ""],
    "service_tier": [*TEXTS, "gold", ""],
    "speculation": [*TEXTS, "fast", "", "mtp"],
}
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGES: list[Any] = [
    *("hello", 5, True, {}, [], [5], [None], ["hi"], [[]], [{}], [{"content": "Hi"}]),
    *([{"role": role, "content": "Hi"}] for role in each("wizard", "", "USER", 5, None, [], {})),
    *([{"role": "user", "content": content}] for content in each(None, 5, True, {}, [5], [["Hi"]])),
    *([{"role": "user", "content": [part]}] for part in each({}, {"type": "text"}, {"text": "Hi"})),
    *(
        [{"role": "user", "content": [{"type": "text", "text": text}]}]
        for text in each(5, None, [])
    ),
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
    [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
    *([USER, {"role": role}] for role in each("user", "system", "assistant", "tool", "developer")),
    [USER, {"role": "tool", "content": "sunny"}],
    [USER, {"role": "user", "content": "Hi", "name": 5}],
    *([USER, {"role": "assistant", "tool_calls": calls}] for calls in each("x", 5, {}, [5], [{}])),
    [USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {}}]}],
    [USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": 5}}]}],
    [USER, {"role": "assistant", "tool_calls": [{**CALL, "id": 5}]}],
    [USER, 5],
]
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOOLS: list[Any] = [
    *("x", 5, True, {}, [5], [None], [{}], [{"type": "function"}], [{"function": FUNCTION}]),
    *([{"type": "function", "function": value}] for value in each("f", 5, [], {}, {"name": 5})),
    *([{"type": "function", "function": {"name": "f", "parameters": p}}] for p in each("x", 5, [])),
    [{"type": "function", "function": {"name": "f", "description": 5}}],
]
FORMATS: list[Any] = [
    *("json", 5, True, [], {}, {"type": 5}, {"type": "xml"}, {"type": "json_schema"}),
    *({"type": "json_schema", "json_schema": value} for value in each("x", 5, [], {"schema": 5})),
    {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "strange"}}},
    {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#/nowhere"}}},
]
CHAT = Route(
    target="/v1/chat/completions",
    good={"model": "corral-tiny", "messages": [USER], "max_tokens": 1},
    required=("model", "messages"),
    invalid={
        **SAMPLING,
        "model": MODEL_VALUES,
        "messages": MESSAGES,
        "max_tokens": [*SAMPLING["max_tokens"], 0],
        "max_completion_tokens": [*WHOLE, 0, -2],
        "logprobs": FLAGS,
        "top_logprobs": [*WHOLE, -1, 21, 5],  # not without `logprobs`
        "response_format": FORMATS,
        "tools": TOOLS,
        "tool_choice": [5, True, [], "always", {"type": "nothing"}],
        "metadata": ["x", 5, []],
        "store": FLAGS,
        "parallel_tool_calls": FLAGS,
        "reasoning_effort": [5, [], {}, "enormous"],
        "safety_identifier": TEXTS,
        "prediction": [
            *("x", 5, True, [], {}, {"type": "content"}, {"content": "x"}, {"type": "content"}),
            *({"type": kind, "content": "x"} for kind in each(5, None, [], "text", "")),
            *({"type": "content", "content": value} for value in each(5, True, {}, [5], ["x"])),
        ],
        "modalities": ["text", 5, {}, [5], ["audio"]],
    },
    text=lambda text: {"messages": [{"role": "user", "content": text}]},
)
INPUTS: list[Any] = [
    *(5, 1.5, True, {}, {"a": 1}, [], [[]], [None], [True], [1.5], [-1], [HUGE], ["a", 1]),
    *([["a"]], [[1], "a"], [[1, "a"]], [[-1]], [[1.5]], [[[1]]], [{}], [2**80]),
]
COMPLETIONS = Route(
    target="/v1/completions",
    good={"model": "corral-tiny", "prompt": "Once", "max_tokens": 1},
    required=("model", "prompt"),
    invalid={
        **SAMPLING,
        "model": MODEL_VALUES,
        "prompt": INPUTS,
        "suffix": TEXTS,
        "echo": FLAGS,
        "best_of": [*WHOLE, 0, -1, HUGE],
        "logprobs": [*WHOLE, -1, HUGE],
    },
    text=lambda text: {"prompt": text},
)
EMBEDDINGS = Route(
    target="/v1/embeddings",
    good={"model": "corral-tiny", "input": "the llama"},
    required=("model", "input"),
    invalid={
        "model": MODEL_VALUES,
        "input": [*INPUTS, "", [""], ["a", ""]],
        "encoding_format": [5, True, [], {}, "xml", ""],
        "dimensions": [*WHOLE, 0, -1, HUGE],
        "user": TEXTS,
    },
    text=lambda text: {"input": text},
)
ROUTES = {"chat": CHAT, "completions": COMPLETIONS, "embeddings": EMBEDDINGS}
BROKEN_JSON: list[bytes] = [
    *(b"", b" \r\n\t ", b"{", b"}", b"[", b"{]", b"nope", b"{'model': 'x'}", b"{model: 1}"),
    *(b'{"a": 1,}', b'{"a" 1}', b'{"a": }', b'{"a": 1 "b": 2}', b'{"a": tru}', b'{"a": 01}'),
    *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 0x10}', b'{"a": "\\x41"}', b'{"a": "\\u12"}'),
    *(b"null", b"5", b'"text"', b"true", b"[]", b"[{}]", b"{}", b"\x00", b"\xff\xfe{", b"\x1f\x8b"),
]
"""Not JSON, or not an object, or without anything in it."""
WRONG_TYPES = [
    *(
        "text/plain",
        "text/html; charset=utf-8",
        "application/xml",
        "multipart/form-data; boundary=x",
    ),
    *("application/x-www-form-urlencoded", "application/octet-stream", "image/png", "nonsense"),
]
WRONG_METHODS = ["GET", "PUT", "DELETE", "PATCH", "TRACE", "REPORT", "PROPFIND"]


def malform(route: Route, count: int, seed: int) -> list[Malformed]:
    """`count` different requests: each kind of fault once, then mixtures drawn from the seed."""
    rng = random.Random(seed)
    made = list(_single_faults(route)) + list(_http_faults(route))
    seen = {(request.method, request.body, request.headers["content-type"]) for request in made}
    draw = [_many_fields, _cut, _garble, _hostile_text, _deep, _huge_number]
    while len(made) < count:
        request = rng.choice(draw)(route, rng)
        key = (request.method, request.body, request.headers["content-type"])
        if key not in seen:
            seen.add(key)
            made.append(request)
    rng.shuffle(made)
    return made[:count]


def _post(route: Route, what: str, body: bytes) -> Malformed:
    return Malformed(what, "POST", route.target, body)


def _single_faults(route: Route) -> Iterator[Malformed]:
    for name in route.required:
        rest = {key: value for key, value in route.good.items() if key != name}
        yield _post(route, f"without {name}", encode(rest))
        yield _post(route, f"{name} is null", encode({**route.good, name: None}))
    for name, values in route.invalid.items():
        for value in values:
            body = encode({**route.good, name: value})
            yield _post(route, f"{name} is {value!r:.60}", body)


def _http_faults(route: Route) -> Iterator[Malformed]:
    good = encode(dict(route.good))
    for body in BROKEN_JSON:
        yield _post(route, f"the body is {body!r}", body)
    yield _post(route, "two objects", good + good)
    yield _post(route, "UTF-16", good.decode().encode("utf-16"))
    yield _post(route, "in a list", b"[" + good + b"]")
    for kind in WRONG_TYPES:
        yield Malformed(f"sent as {kind}", "POST", route.target, good, {"content-type": kind})
    for method in WRONG_METHODS[1 if route is CHAT else 0 :]:  # GET lists the stored ones
        yield Malformed(f"by {method}", method, route.target, good)


def _many_fields(route: Route, rng: random.Random) -> Malformed:
    """Several wrong fields, and some that nobody knows."""
    names = rng.sample(sorted(route.invalid), rng.randint(2, min(5, len(route.invalid))))
    wrong = {name: rng.choice(route.invalid[name]) for name in names}
    noise = {f"x{rng.randrange(100)}": _noise(rng, 3) for _ in range(rng.randrange(3))}
    return _post(route, f"wrong: {names}", encode({**noise, **route.good, **wrong}))


def _noise(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(7 if depth else 5)
    if kind < 5:
        return [None, True, rng.uniform(-1e9, 1e9), rng.randrange(2**40), "ünï\U0001f999"][kind]
    if kind == 5:
        return [_noise(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {str(number): _noise(rng, depth - 1) for number in range(rng.randrange(4))}


def _cut(route: Route, rng: random.Random) -> Malformed:
    body = encode({"user": "x" * rng.randrange(50), **route.good})
    at = rng.randrange(1, len(body))
    return _post(route, f"cut at {at}", body[:at])


def _garble(route: Route, rng: random.Random) -> Malformed:
    """Bytes changed, put in or taken out until `json` refuses the result."""
    body = bytearray(encode({**route.good, "metadata": {"a": [1, 2.5, "b"]}}))
    while is_json(bytes(body)):
        at = rng.randrange(len(body))
        change = rng.randrange(3)
        if change == 0:
            body[at] = rng.choice([0, 0xFF, 0x80, rng.randrange(256)])
        elif change == 1:
            body[at:at] = rng.choice([b"\x00", b"\xed\xa0\x80", b'"', b"{", b"]", b"\x1b", b"\xc0"])
        else:
            del body[at]
    return _post(route, "garbled", bytes(body))


def _hostile_text(route: Route, rng: random.Random) -> Malformed:
    """Text that JSON can spell and nothing else can hold."""
    token = rng.choice(["\0", "\ud800", "\udfff", "\ud83d", "\udc00\ud800"])
    words = ["the", "llama", "walks", "ü", "\U0001f999"]
    chosen = [rng.choice(words) for _ in range(rng.randrange(6))]
    chosen.insert(rng.randint(0, len(chosen)), token)
    text = " ".join(chosen)
    body = json.dumps({**route.good, **route.text(text)})
    return _post(route, f"text {text!r}", body.encode())


def _deep(route: Route, rng: random.Random) -> Malformed:
    levels = rng.choice([100, 200, 500, 1000, 5000, 20_000, 100_000]) + rng.randrange(50)
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    inner = "1" if opening != "[" else ""
    nest = (opening * levels + inner + closing * levels).encode()
    name = rng.choice([*route.required, "metadata", "response_format", "whatever"])
    rest = {key: value for key, value in route.good.items() if key != name}
    start = encode(rest).removesuffix(b"}")
    return _post(route, f"{name} {levels} deep", start + b', "%s": %s}' % (name.encode(), nest))


def _huge_number(route: Route, rng: random.Random) -> Malformed:
    fields = sorted(name for name, values in route.invalid.items() if 1e300 in values)
    name = rng.choice(fields)
    digits = "".join(rng.choice("123456789") for _ in range(rng.randrange(20, 400)))
    number = rng.choice(["", "-"]) + digits + rng.choice(["", ".5", "e99", "e999", "E+308"])
    rest = {key: value for key, value in route.good.items() if key != name}
    start = encode(rest).removesuffix(b"}")
    return _post(route, f"{name} is {number[:20]}...", start + f', "{name}": {number}}}'.encode())


def encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def is_json(body: bytes) -> bool:
    """Whether strict JSON; Python's own reader would also take NaN and surrogates."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def _refuse(name: str) -> Any:
    raise ValueError(name)


WIDTH = 100_000
_CROWD: list[Any] = [1.5] * WIDTH
WIDE: Mapping[str, list[dict[str, Any]]] = {
    "chat": [
        {"stop": _CROWD},
        {"stop": ["x"] * WIDTH},
        {"stop_token_ids": _CROWD},
        {"dry_sequence_breakers": _CROWD},
        {"logit_bias": {str(token): "x" for token in range(WIDTH)}},
        {"logit_bias": {str(token): 0 for token in range(WIDTH)}},
        {"modalities": _CROWD},
        {"tools": _CROWD},
        {"messages": _CROWD},
        {"messages": [USER] * WIDTH},
        {"messages": [{"role": "user", "content": _CROWD}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * WIDTH}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": _CROWD}]},
    ],
    "completions": [
        {"prompt": _CROWD},
        {"prompt": ["x"] * WIDTH},
        {"prompt": [[1]] * WIDTH},
        {"prompt": [1] * WIDTH},
        {"prompt": [[]] * WIDTH},
        {"stop": _CROWD},
        {"logit_bias": {str(token): "x" for token in range(WIDTH)}},
    ],
    "embeddings": [
        {"input": _CROWD},
        {"input": ["x"] * WIDTH},
        {"input": [[1]] * WIDTH},
        {"input": [[]] * WIDTH},
        {"input": [1] * WIDTH},
    ],
}
"""Arrays of wrong elements, or of more than can be taken."""


def widen(name: str) -> list[Malformed]:
    route = ROUTES[name]
    return [
        _post(route, f"wide {key!r}: {value!s:.60}", encode({**route.good, **change}))
        for change in WIDE[name]
        for key, value in change.items()
    ]


def nest_arguments(model: str) -> list[Malformed]:
    """Chats whose earlier tool calls have arguments that are hard to read, if they are JSON."""
    texts = [
        opening * levels + closing * levels * is_closed
        for opening, closing in (("[", "]"), ('{"a":', "}"))
        for levels in (100, 1000, WIDTH)
        for is_closed in (0, 1)
    ]
    return [_chat_with_call(model, text) for text in [*texts, "9" * WIDTH, "-", '"\\ud800"', "{}"]]


def _chat_with_call(model: str, arguments: str) -> Malformed:
    call = {**CALL, "function": {"name": "f", "arguments": arguments}}
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    body = {**CHAT.good, "model": model, "messages": messages}
    return _post(CHAT, f"{model}, arguments {arguments[:20]}...", encode(body))


def stretch() -> list[Malformed]:
    """Legal numbers at their upper end, where they have an effect."""
    largest = 2**31 - 1
    switches = {"repeat_penalty": 1.1, "dry_multiplier": 0.8, "temperature": 1}
    fields = ["repeat_last_n", "dry_penalty_last_n", "dry_allowed_length", "top_k"]
    changes = [{field: largest} for field in fields] + [dict.fromkeys(fields, largest)]
    return [
        _post(route, f"{change}", encode({**route.good, **switches, **change}))
        for route in (CHAT, COMPLETIONS)
        for change in changes
    ]


def malform_models(count: int, seed: int) -> list[Malformed]:
    """Requests to `/v1/models` and `/v1/models/{id}`: wrong methods, and names of no model."""
    rng = random.Random(seed)
    targets = ["/v1/models", "/v1/models/corral-tiny", "/v1/models/lab/random:tiny"]
    made = [
        Malformed(f"{method} {target}", method, target, body)
        for method in ["POST", *WRONG_METHODS[1:]]
        for target in targets
        for body in [None, b"{}", b"{", encode(CHAT.good)]
    ]
    names = {
        *("", "/", "//", "%00", "corral-tiny%00", "%ED%A0%80", "%FF%FE", "%", "%zz", "..", "../.."),
        *("corral-tiny/", "CORRAL-TINY", "corral-tiny%20", "'%20or%201=1", "*", "[]", "null"),
        *("..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e", "a" * 4000, "%F0%9F%A6%99", "{id}", "-1"),
    }
    while len(made) + len(names) < count:
        names.add("".join(rng.choice(_PIECES) for _ in range(rng.randrange(1, 12))))
    made += [
        Malformed(f"model {name!r:.60}", "GET", f"/v1/models/{name}", None)
        for name in sorted(names)
    ]
    rng.shuffle(made)
    return made[:count]


_PIECES = [
    *("%00", "%0A", "%ED%A0%80", "%C3%A9", "%2F", "/", ":", "..", ".", "-", "_", "~", "%25", "@"),
    *("corral", "tiny", "llama", "7b", "Q4", "%22", "%3Cscript%3E", "$", "{", "}", "%7F", "+"),
]
