// What live servers say to OpenAI's client for Node: see ai.test.mjs for their addresses.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const MODEL = "corral-tiny";
const RANDOM = "lab/random:tiny";
const messages = [{ role: "user", content: "Hello, who are you?" }];
const asked = { model: MODEL, messages, temperature: 0, max_tokens: 24 };

const client = new OpenAI({ baseURL: process.env.CORRAL_URL, apiKey: "unused", maxRetries: 0 });

test("an answer", async () => {
  const answer = await client.chat.completions.create(asked);
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.ok(answer.choices[0].message.content);
  assert.equal(
    answer.usage.total_tokens,
    answer.usage.prompt_tokens + answer.usage.completion_tokens,
  );
});

test("a stream says what the whole answer says", async () => {
  const whole = await client.chat.completions.create(asked);
  const stream = await client.chat.completions.create({
    ...asked,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let reason;
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(reason, whole.choices[0].finish_reason);
  assert.deepEqual(usage, whole.usage);
});

test("the stream helper", async () => {
  const pieces = [];
  const stream = client.chat.completions.stream(asked).on("content", (piece) => pieces.push(piece));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content, pieces.join(""));
  assert.equal(final.choices[0].message.role, "assistant");
});

test("the stream helper with several choices", async () => {
  const stream = client.chat.completions.stream({ ...asked, n: 3, temperature: 1, seed: 5 });
  const final = await stream.finalChatCompletion();
  assert.deepEqual(final.choices.map((choice) => choice.index), [0, 1, 2]);
});

const Paint = z.object({
  colour: z.enum(["red", "green", "blue"]),
  coats: z.literal([1, 2, 3]),
  isDry: z.boolean(),
});

test("parse gives an object", async () => {
  const answer = await client.chat.completions.parse({
    ...asked,
    max_tokens: 200,
    response_format: zodResponseFormat(Paint, "paint"),
  });
  assert.ok(Paint.parse(answer.choices[0].message.parsed));
});

test("a parsed stream", async () => {
  const stream = client.chat.completions.stream({
    ...asked,
    max_tokens: 200,
    response_format: zodResponseFormat(Paint, "paint"),
  });
  const final = await stream.finalChatCompletion();
  assert.ok(Paint.parse(final.choices[0].message.parsed));
});

test("a tool is run and its answer given back", async () => {
  const cities = [];
  const runner = client.chat.completions.runTools({
    model: MODEL,
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
    temperature: 0,
    max_tokens: 200,
    stream: true,
    tools: [
      {
        type: "function",
        function: {
          name: "get_weather",
          description: "Get the current weather in a city",
          parameters: {
            type: "object",
            properties: { city: { type: "string" } },
            required: ["city"],
          },
          parse: JSON.parse,
          function: ({ city }) => {
            cities.push(city);
            return "sunny, 21 degrees";
          },
        },
      },
    ],
  });
  const said = await runner.finalContent();
  assert.deepEqual(cities, ["Paris"]);
  assert.ok(said);
});

test("completions", async () => {
  const answer = await client.completions.create({
    model: MODEL,
    prompt: ["Once upon", "The sky"],
    max_tokens: 8,
    n: 2,
  });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2, 3]);
});

test("embeddings", async () => {
  const answer = await client.embeddings.create({ model: MODEL, input: ["a llama", "an alpaca"] });
  assert.equal(answer.data.length, 2);
  for (const { embedding } of answer.data) {
    const length = Math.hypot(...embedding);
    assert.ok(Math.abs(length - 1) < 1e-3, `length ${length}`);
  }
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
  assert.ok(ids.includes(RANDOM));
  assert.equal((await client.models.retrieve(RANDOM)).id, RANDOM);
});

test("errors", async () => {
  await assert.rejects(
    client.chat.completions.create({ ...asked, model: "nobody/knows:it" }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
  await assert.rejects(
    client.chat.completions.create({ ...asked, temperature: -1 }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature",
  );
  // once the model is there; a stream that waits for it has begun before that is known
  await client.chat.completions.create({ ...asked, model: RANDOM, max_tokens: 1 });
  const long = [{ role: "user", content: "the llama ".repeat(3000) }];
  await assert.rejects(
    client.chat.completions.create({ ...asked, model: RANDOM, messages: long, stream: true }),
    (error) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded",
  );
});

test("headers", async () => {
  const { response, request_id: id } = await client.models
    .list({ headers: { "x-request-id": "made-by-node" } })
    .withResponse();
  assert.equal(id, "made-by-node");
  assert.ok(Number(response.headers.get("openai-processing-ms")) >= 0);
});

test("an aborted stream ends", async () => {
  const stream = await client.completions.create(
    { model: MODEL, prompt: "Once", max_tokens: 30000, stream: true, ignore_eos: true },
  );
  let chunks = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    if (++chunks === 3) stream.controller.abort();
  }
  assert.ok(chunks >= 3);
});

test("parsed tools: calls are streamed, run and answered over two rounds", async () => {
  const scripted = new OpenAI({
    baseURL: process.env.SCRIPTED_URL,
    apiKey: "unused",
    maxRetries: 0,
  });
  const sums = [];
  const add = zodFunction({
    name: "add",
    description: "Add two numbers",
    parameters: z.object({ a: z.number(), b: z.number() }),
    function: ({ a, b }) => {
      sums.push(a + b);
      return `the sum is ${a + b}`;
    },
  });
  const script = [
    'call add {"a": 1, "b": 2}',
    'call add {"a": 3, "b": 4}',
    "then",
    'call add {"a": 5, "b": 6.5}',
  ].join("\n");
  const runner = scripted.chat.completions.runTools({
    model: MODEL,
    messages: [{ role: "user", content: script }],
    stream: true,
    tools: [add],
  });
  assert.match(await runner.finalContent(), /the sum is 7; the sum is 11.5/);
  assert.deepEqual(sums, [3, 7, 11.5]);

  const answer = await scripted.chat.completions.parse({
    model: MODEL,
    messages: [{ role: "user", content: 'call add {"a": 1, "b": 2}' }],
    tools: [add],
  });
  assert.deepEqual(answer.choices[0].message.tool_calls[0].function.parsed_arguments, {
    a: 1,
    b: 2,
  });
});
