// What live servers say to Vercel's AI SDK. CORRAL_URL is the shared server's base URL, SCRIPTED_URL
// that of one whose model answers as the message says (see tests/support/script.py).
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const MODEL = "corral-tiny";

const connect = (baseURL) =>
  createOpenAICompatible({
    name: "corral",
    baseURL,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
const corral = connect(process.env.CORRAL_URL);
const scripted = connect(process.env.SCRIPTED_URL);

const asked = { maxRetries: 0, temperature: 0, maxOutputTokens: 300 };

const Paint = z.object({
  colour: z.enum(["red", "green", "blue"]),
  coats: z.number().int().min(1).max(3),
  isDry: z.boolean(),
});

const weather = () => {
  const cities = [];
  const getWeather = tool({
    description: "Get the current weather in a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      cities.push(city);
      return `sunny, 21 degrees in ${city}`;
    },
  });
  return { cities, tools: { get_weather: getWeather } };
};

test("generateText", async () => {
  const { text, usage, finishReason } = await generateText({
    ...asked,
    model: corral(MODEL),
    prompt: "What is the capital of France?",
  });
  assert.match(text, /Paris/);
  assert.equal(finishReason, "stop");
  assert.ok(usage.inputTokens > 0);
  assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
});

test("streamText says the same, with usage", async () => {
  const prompt = "What is the capital of France?";
  const whole = await generateText({ ...asked, model: corral(MODEL), prompt });
  const stream = streamText({ ...asked, model: corral(MODEL), prompt });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  assert.equal((await stream.usage).totalTokens, whole.usage.totalTokens);
});

test("the built-in model calls a tool and retells its result", async () => {
  const { cities, tools } = weather();
  const stream = streamText({
    ...asked,
    model: corral(MODEL),
    prompt: "What is the weather in Paris?",
    tools,
    stopWhen: stepCountIs(3),
  });
  assert.match(await stream.text, /21/);
  assert.deepEqual(cities, ["Paris"]);
  assert.equal((await stream.steps).length, 2);
});

test("streamText with reasoning, parallel calls and a second round", async () => {
  const { cities, tools } = weather();
  const stream = streamText({
    ...asked,
    model: scripted(MODEL),
    prompt: [
      "think two of them",
      'call get_weather {"city": "東京"}',
      'call get_weather {"city": "Rome"}',
      "then",
      'call get_weather {"city": "Oslo"}',
    ].join("\n"),
    tools,
    stopWhen: stepCountIs(5),
  });
  const kinds = new Map();
  for await (const part of stream.fullStream) {
    assert.notEqual(part.type, "error", String(part.error));
    kinds.set(part.type, (kinds.get(part.type) ?? 0) + 1);
  }
  assert.deepEqual(cities.toSorted(), ["Oslo", "Rome", "東京"]);
  assert.equal(kinds.get("tool-input-start"), 3);
  assert.ok(kinds.get("tool-input-delta") > 9, "arguments come as they are generated");
  const steps = await stream.steps;
  assert.deepEqual(
    steps.map((step) => step.finishReason),
    ["tool-calls", "tool-calls", "stop"],
  );
  assert.equal(steps[0].reasoningText, "two of them");
  assert.match(await stream.text, /degrees in Oslo/);
});

test("generateObject", async () => {
  const { object } = await generateObject({
    ...asked,
    model: corral(MODEL),
    prompt: "How shall I paint the wall?",
    schema: Paint,
  });
  assert.ok(Paint.parse(object));
});

test("streamObject grows an object", async () => {
  const wanted = { colour: "green", coats: 2, isDry: true };
  const stream = streamObject({
    ...asked,
    model: scripted(MODEL),
    prompt: `say ${JSON.stringify(wanted)}`,
    schema: Paint,
  });
  const grown = [];
  for await (const part of stream.partialObjectStream) grown.push(part);
  assert.deepEqual(await stream.object, wanted);
  assert.ok(grown.length > 2);
});

test("embedMany", async () => {
  const { embeddings } = await embedMany({
    model: corral.textEmbeddingModel(MODEL),
    values: ["a llama", "an alpaca"],
  });
  assert.equal(embeddings.length, 2);
});

test("errors", async () => {
  await assert.rejects(
    generateText({ ...asked, model: corral("nobody/knows:it"), prompt: "Hi" }),
    (error) => error.statusCode === 404 && error.data.error.code === "model_not_found",
  );
  await assert.rejects(
    generateText({ ...asked, model: corral(MODEL), prompt: "the llama ".repeat(40_000) }),
    (error) => error.statusCode === 400 && error.data.error.code === "context_length_exceeded",
  );
});

test("a required call", async () => {
  const { tools } = weather();
  const { toolCalls } = await generateText({
    ...asked,
    model: corral(MODEL),
    prompt: "Hello!",
    tools,
    toolChoice: "required",
  });
  assert.equal(toolCalls[0].toolName, "get_weather");
  assert.equal(typeof toolCalls[0].input.city, "string");
});
