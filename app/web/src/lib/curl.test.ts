import { expect, it } from "vitest";
import type { LoggedRequest } from "$lib/api/types";
import { writeCurl } from "./curl";

const request = (more: Partial<LoggedRequest>): LoggedRequest => ({
  ...{ number: 1, ended_at: 0, id: "req_1", method: "POST", route: "/v1/chat/completions" },
  ...{ status: 200, seconds: 1 },
  ...more,
});

it("writes a chat with its model", () => {
  expect(writeCurl(request({ model: "it's" }), "http://h", false)).toBe(
    `curl -X POST 'http://h/v1/chat/completions' -H 'Content-Type: application/json' ` +
      `-d '{"model":"it'\\''s","messages":[{"role":"user","content":"Hello!"}]}'`,
  );
});

it("names the key without showing it", () => {
  const text = writeCurl(request({ method: "GET", route: "/v1/models" }), "http://h", true);
  expect(text).toBe(`curl 'http://h/v1/models' -H "Authorization: Bearer $CORRAL_KEY"`);
});
