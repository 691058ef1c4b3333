// What live servers say to Ollama's client for Node: see ai.test.mjs for their addresses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Ollama } from "ollama";

const MODEL = "corral-tiny";
const messages = [{ role: "user", content: "What is the capital of France?" }];
const options = { temperature: 0, num_predict: 24 };
const asked = { model: MODEL, messages, options };

const at = (url) => new Ollama({ host: url.replace(/\/v1$/, "") });
const client = at(process.env.CORRAL_URL);
const scripted = at(process.env.SCRIPTED_URL);

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "Its name" } },
      required: ["city"],
    },
  },
};

test("an answer", async () => {
  const answer = await client.chat(asked);
  assert.match(answer.message.content, /Paris/);
  assert.equal(answer.done_reason, "stop");
  assert.ok(answer.eval_count > 0 && answer.eval_duration > 0);
});

test("a stream says what the whole answer says", async () => {
  const whole = await client.chat(asked);
  let text = "";
  let last;
  for await (const part of await client.chat({ ...asked, stream: true })) {
    text += part.message.content;
    last = part;
  }
  assert.equal(text, whole.message.content);
  assert.equal(last.done, true);
  assert.equal(last.eval_count, whole.eval_count);
});

test("a stream that is aborted", async () => {
  const long = [{ role: "user", content: `say ${"on and ".repeat(5000)}` }];
  const stream = await at(process.env.SCRIPTED_URL).chat({ model: MODEL, messages: long, stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream) stream.abort();
  }, { name: "AbortError" });
});

test("generate", async () => {
  const prompt = messages[0].content;
  const whole = await client.generate({ model: MODEL, prompt, options });
  let text = "";
  for await (const part of await client.generate({ model: MODEL, prompt, options, stream: true })) {
    text += part.response;
  }
  assert.match(whole.response, /Paris/);
  assert.equal(text, whole.response);
});

test("a format", async () => {
  const colour = { enum: ["red", "green"] };
  const format = {
    type: "object",
    properties: { colour },
    required: ["colour"],
    additionalProperties: false,
  };
  const answer = await client.chat({ ...asked, format });
  assert.ok(colour.enum.includes(JSON.parse(answer.message.content).colour));
});

test("a tool in two rounds, streamed", async () => {
  const history = [{ role: "user", content: 'call get_weather {"city": "Rome"}' }];
  const calls = [];
  for await (const part of await scripted.chat({
    model: MODEL,
    messages: history,
    tools: [weather],
    stream: true,
  })) {
    calls.push(...(part.message.tool_calls ?? []));
  }
  assert.deepEqual(calls.map((call) => call.function.arguments), [{ city: "Rome" }]);
  history.push({ role: "assistant", content: "", tool_calls: calls });
  history.push({ role: "tool", content: "sunny in Rome", tool_name: "get_weather" });
  const answer = await scripted.chat({ model: MODEL, messages: history, tools: [weather] });
  assert.match(answer.message.content, /sunny in Rome/);
});

test("a thought", async () => {
  const thinking = [{ role: "user", content: "think Let me see\nsay It is warm." }];
  const answer = await scripted.chat({ model: MODEL, messages: thinking, think: true });
  assert.equal(answer.message.thinking, "Let me see");
  assert.equal(answer.message.content, "It is warm.");
});

test("embeddings", async () => {
  const answer = await client.embed({ model: MODEL, input: ["one", "two"] });
  assert.equal(answer.embeddings.length, 2);
});

test("the models", async () => {
  const { models } = await client.list();
  assert.ok(models.some((model) => model.name === `${MODEL}:latest`));
  const card = await client.show({ model: MODEL });
  assert.equal(card.details.format, "gguf");
  assert.ok(card.capabilities.includes("completion"));
  assert.ok(Array.isArray((await client.ps()).models));
});

test("a pull with progress, and what is made of it", async () => {
  const source = "hf://maker/model/node.gguf";
  const name = "maker/model/node";
  const told = [];
  for await (const part of await scripted.pull({ model: source, stream: true })) told.push(part);
  assert.equal(told[0].status, "pulling manifest");
  assert.deepEqual(told.slice(-3).map((part) => part.status), [
    "verifying sha256 digest",
    "writing manifest",
    "success",
  ]);
  const moving = told.filter((part) => part.completed);
  assert.equal(moving.at(-1).completed, moving.at(-1).total);
  assert.equal((await scripted.pull({ model: source })).status, "success");
  const made = await scripted.create({ model: "short", from: name, system: "Be short." });
  assert.equal(made.status, "success");
  assert.equal((await scripted.show({ model: "short" })).system, "Be short.");
  await scripted.copy({ source: "short", destination: "short-2" });
  const { models } = await scripted.list();
  assert.ok(models.some((model) => model.name === "short-2:latest"));
  for (const gone of ["short", "short-2", name]) {
    assert.equal((await scripted.delete({ model: gone })).status, "success");
  }
});

test("a pull that fails", async () => {
  const pull = async () => {
    for await (const _ of await scripted.pull({ model: "hf://maker/model/gone.gguf", stream: true }));
  };
  await assert.rejects(pull, /no such file/);
  await assert.rejects(scripted.pull({ model: "gone" }), /no model 'gone' to pull/);
});

test("an unknown model", async () => {
  await assert.rejects(client.chat({ ...asked, model: "gone" }), /not found/);
});
