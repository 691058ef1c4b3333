// A request of the log as a command. The log keeps no prompts, so an example stands in their place.

import type { LoggedRequest } from "$lib/api/types";

const CHAT = (model: string) => ({ model, messages: [{ role: "user", content: "Hello!" }] });
const BODIES: Record<string, (model: string) => unknown> = {
  "/v1/chat/completions": CHAT,
  "/api/chat": CHAT,
  "/v1/responses": (model) => ({ model, input: "Hello!" }),
  "/v1/completions": (model) => ({ model, prompt: "Once upon a time" }),
  "/api/generate": (model) => ({ model, prompt: "Once upon a time" }),
  "/v1/embeddings": (model) => ({ model, input: "Hello!" }),
  "/api/embed": (model) => ({ model, input: "Hello!" }),
};

export function writeCurl(request: LoggedRequest, base: string, hasKey: boolean): string {
  const words = ["curl"];
  if (request.method !== "GET") words.push("-X", request.method);
  words.push(quote(base + request.route));
  if (hasKey) words.push("-H", '"Authorization: Bearer $CORRAL_KEY"');
  const body =
    request.method === "POST"
      ? (BODIES[request.route] ?? (() => ({})))(request.model ?? "default")
      : null;
  if (body !== null)
    words.push("-H", quote("Content-Type: application/json"), "-d", quote(JSON.stringify(body)));
  return words.join(" ");
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
