// A wire to a real Corral that answers every question itself, with a text that was given, as fast as
// told: what a browser shows must keep up with machines that tests do not have.

import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const BEAT = 20; // milliseconds between two writes

export class Typist {
  readonly #server = createServer((asked, answer) => {
    if (asked.method === "POST" && asked.url === "/v1/responses") void this.#write(answer);
    else this.#forward(asked, answer);
  });
  readonly #target: string;
  readonly #text: string;
  readonly #pace: number;

  private constructor(target: string, text: string, pace: number) {
    this.#target = target;
    this.#text = text;
    this.#pace = pace;
  }

  /** Writes `text`, at `pace` tokens of four characters a second, in front of the server `target`. */
  static async start(target: string, text: string, pace: number): Promise<Typist> {
    const typist = new Typist(target, text, pace);
    await new Promise<void>((done) => typist.#server.listen(0, "127.0.0.1", done));
    return typist;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #forward(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, headers } = asked;
    const far = request(this.#target + asked.url, { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    far.on("error", () => answer.destroy());
    asked.pipe(far);
  }

  async #write(answer: ServerResponse): Promise<void> {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    let number = 0;
    const tell = (type: string, more: object): void => {
      const event = JSON.stringify({ type, sequence_number: number++, ...more });
      answer.write(`event: ${type}\ndata: ${event}\n\n`);
    };
    const response = { id: "resp_typist", object: "response", status: "in_progress", output: [] };
    const item = { id: "msg_typist", type: "message", role: "assistant", content: [] };
    const place = { item_id: item.id, output_index: 0, content_index: 0 };
    tell("response.created", { response });
    tell("response.output_item.added", { output_index: 0, item });
    const tokens = this.#text.match(/[^]{1,4}/g) ?? [];
    const start = performance.now();
    for (let sent = 0; sent < tokens.length;) {
      await new Promise((done) => setTimeout(done, BEAT));
      const due = Math.min(tokens.length, ((performance.now() - start) / 1000) * this.#pace);
      for (; sent < due; sent++)
        tell("response.output_text.delta", { ...place, delta: tokens[sent] });
    }
    const content = [{ type: "output_text", text: this.#text }];
    tell("response.output_item.done", { output_index: 0, item: { ...item, content } });
    // Never the end of the response: it is kept nowhere, and the page would ask for what is.
  }
}
