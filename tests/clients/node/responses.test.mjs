// The Responses and Conversations APIs through OpenAI's client for Node.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const MODEL = "corral-tiny";
const QUESTION = "What is the capital of France?";
const PARIS = "The capital of France is Paris.";
const asked = { model: MODEL, input: QUESTION, temperature: 0 };

const client = new OpenAI({ baseURL: process.env.CORRAL_URL, apiKey: "unused", maxRetries: 0 });

test("a response", async () => {
  const answer = await client.responses.create(asked);
  assert.equal(answer.output_text, PARIS);
  assert.equal(answer.status, "completed");
  const again = await client.responses.retrieve(answer.id);
  assert.equal(again.output_text, PARIS);
  const second = await client.responses.create({
    ...asked,
    input: "What is the capital of Italy?",
    previous_response_id: answer.id,
  });
  assert.equal(second.output_text, "The capital of Italy is Rome.");
  await client.responses.delete(answer.id);
  await assert.rejects(client.responses.retrieve(answer.id), OpenAI.NotFoundError);
});

test("a stream", async () => {
  let text = "";
  let number = 0;
  let last;
  for await (const event of await client.responses.create({ ...asked, stream: true })) {
    assert.equal(event.sequence_number, number);
    number += 1;
    if (event.type === "response.output_text.delta") text += event.delta;
    last = event;
  }
  assert.equal(text, PARIS);
  assert.equal(last.type, "response.completed");
});

test("the stream helper", async () => {
  const pieces = [];
  const stream = client.responses
    .stream(asked)
    .on("response.output_text.delta", (event) => pieces.push(event.delta));
  const final = await stream.finalResponse();
  assert.equal(final.output_text, PARIS);
  assert.equal(pieces.join(""), PARIS);
});

test("a parsed answer", async () => {
  const City = z.object({ name: z.string(), population: z.number().int() });
  const answer = await client.responses.parse({
    ...asked,
    input: "Describe Paris as JSON.",
    max_output_tokens: 200,
    text: { format: zodTextFormat(City, "city") },
  });
  assert.equal(typeof answer.output_parsed.name, "string");
});

test("a conversation", async () => {
  const talk = await client.conversations.create({ metadata: { topic: "capitals" } });
  const answer = await client.responses.create({ ...asked, conversation: talk.id });
  assert.equal(answer.conversation.id, talk.id);
  const items = [];
  for await (const item of client.conversations.items.list(talk.id, { order: "asc", limit: 1 })) {
    items.push(item.role);
  }
  assert.deepEqual(items, ["user", "assistant"]);
  assert.ok((await client.conversations.delete(talk.id)).deleted);
});
