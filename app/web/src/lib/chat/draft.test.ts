import { expect, it } from "vitest";
import type { ResponseEvent, ResponseObject } from "$lib/api/types";
import { Draft } from "./draft";

let number = 0;
const event = (type: string, more: Partial<ResponseEvent> = {}): ResponseEvent => ({
  type,
  sequence_number: number++,
  ...more,
});
const response = (status: ResponseObject["status"]): ResponseObject => ({
  id: "resp_1",
  status,
  model: "m",
  output: [],
});

it("puts thought, text and calls together", () => {
  const draft = new Draft();
  const events = [
    event("response.created", { response: response("in_progress") }),
    event("response.output_item.added", {
      output_index: 0,
      item: { id: "rs_1", type: "reasoning" },
    }),
    event("response.reasoning_text.delta", { output_index: 0, delta: "Hm" }),
    event("response.reasoning_text.delta", { output_index: 0, delta: "m." }),
    event("response.output_item.added", {
      output_index: 1,
      item: { id: "msg_1", type: "message", content: [] },
    }),
    event("response.output_text.delta", { output_index: 1, delta: "Hello" }),
    event("response.output_text.delta", { output_index: 1, delta: " you" }),
    event("response.output_item.added", {
      output_index: 2,
      item: { id: "fc_1", type: "function_call", name: "add", arguments: "" },
    }),
    event("response.function_call_arguments.delta", { output_index: 2, delta: '{"a":' }),
    event("response.function_call_arguments.delta", { output_index: 2, delta: "1}" }),
  ];
  for (const each of events) draft.apply(each);
  const [thought, text, call] = draft.read();
  expect(thought?.content).toEqual([{ type: "reasoning_text", text: "Hmm." }]);
  expect(text?.content).toEqual([{ type: "output_text", text: "Hello you" }]);
  expect(call).toMatchObject({ name: "add", arguments: '{"a":1}' });
  expect(draft.size).toBe(20);
});

it("takes the whole answer where it is told", () => {
  const draft = new Draft();
  draft.apply(
    event("response.output_item.added", {
      output_index: 0,
      item: { id: "msg_1", type: "message" },
    }),
  );
  const output = [
    { id: "msg_1", type: "message", content: [{ type: "output_text", text: "All" }] },
  ];
  draft.apply(event("response.completed", { response: { ...response("completed"), output } }));
  expect(draft.read()[0]?.content?.[0]?.text).toBe("All");
  expect(draft.response?.status).toBe("completed");
});

it("hands out the same object for what has not changed", () => {
  const draft = new Draft();
  draft.apply(
    event("response.output_item.added", {
      output_index: 0,
      item: { id: "a", type: "reasoning" },
    }),
  );
  draft.apply(
    event("response.output_item.added", {
      output_index: 1,
      item: { id: "b", type: "message" },
    }),
  );
  const before = draft.read();
  draft.apply(event("response.output_text.delta", { output_index: 1, delta: "x" }));
  const after = draft.read();
  expect(after[0]).toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
});
