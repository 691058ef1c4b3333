import { getJson, postJson, queryOf, send } from "./client";
import { ApiError } from "./errors";
import { readEvents } from "./sse";
import type { ResponseEvent, ResponseObject, Sampling } from "./types";

const ROOT = "/v1/responses";
const PAUSES = [300, 600, 1200, 2500, 5000, 5000, 10_000, 10_000];

export interface Asked extends Sampling {
  model: string;
  conversation: { id: string; after: string | null };
  input: { role: "user"; content: { type: "input_text"; text: string }[] }[];
  instructions?: string;
}

export const get = (id: string): Promise<ResponseObject> => getJson(`${ROOT}/${id}`);

export const cancel = (id: string): Promise<ResponseObject> => postJson(`${ROOT}/${id}/cancel`);

/** Starts an answer that goes on without us, and its events. Throws ApiError. */
export async function start(
  asked: Asked,
  signal: AbortSignal,
): Promise<AsyncGenerator<ResponseEvent>> {
  const body = { ...asked, stream: true, background: true, store: true };
  return parse(await send(ROOT, { method: "POST", body, signal }));
}

/** The events of an answer that runs or is over, after the one numbered `after`. */
export async function resume(
  id: string,
  after: number | undefined,
  signal: AbortSignal,
): Promise<AsyncGenerator<ResponseEvent>> {
  const query = queryOf({ stream: true, starting_after: after });
  return parse(await send(`${ROOT}/${id}${query}`, { signal }));
}

export const isLast = (event: ResponseEvent): boolean =>
  /^response\.(completed|incomplete|failed|cancelled)$/.test(event.type) || event.type === "error";

/**
 * All events to the last, over cut connections: each time the stream ends too early it is asked
 * for again, from where it stopped. `onCut` is told of each attempt (0: it goes on).
 */
export async function* follow(
  open: (after: number | undefined) => Promise<AsyncGenerator<ResponseEvent>>,
  canResume: () => boolean,
  signal: AbortSignal,
  onCut: (attempt: number) => void,
): AsyncGenerator<ResponseEvent> {
  let seen: number | undefined;
  for (let attempt = 0; ;) {
    try {
      for await (const event of await open(seen)) {
        if (attempt > 0) onCut((attempt = 0));
        if (seen !== undefined && event.sequence_number <= seen) continue;
        seen = event.sequence_number ?? seen;
        yield event;
        if (isLast(event)) return;
      }
    } catch (error) {
      const isOver =
        signal.aborted || !canResume() || (error instanceof ApiError && !error.isNetwork);
      if (isOver) throw error;
    }
    const pause = PAUSES[attempt];
    if (pause === undefined || !canResume()) {
      throw new ApiError(0, "unreachable", "The connection was cut.");
    }
    onCut(++attempt);
    await new Promise((done) => setTimeout(done, pause));
    if (signal.aborted) return;
  }
}

async function* parse(response: Response): AsyncGenerator<ResponseEvent> {
  if (response.body === null) return;
  for await (const data of readEvents(response.body)) {
    if (data !== "[DONE]") yield JSON.parse(data) as ResponseEvent;
  }
}
