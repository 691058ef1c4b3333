// An answer that is being written: its events in, its items out once for each frame.

import { ApiError } from "$lib/api/errors";
import * as responses from "$lib/api/responses";
import type { Item, ResponseEvent, ResponseObject } from "$lib/api/types";
import { Draft } from "./draft";

type Open = (
  after: number | undefined,
  signal: AbortSignal,
) => Promise<AsyncGenerator<ResponseEvent>>;

export type Phase = "waiting" | "writing" | "cut" | "stopping";

const HIDDEN_PAUSE = 250; // milliseconds: a hidden page gets no frames
const FRAME = 17; // milliseconds

export class LiveAnswer {
  items = $state.raw<Item[]>([]);
  phase = $state<Phase>("waiting");
  /** Text deltas a second, as a first guess until the server tells. */
  rate = $state(0);
  model: string;
  readonly #draft = new Draft();
  readonly #abort = new AbortController();
  #first = 0;
  #deltas = 0;
  #isScheduled = false;
  #restUntil = 0;
  #wantsStop = false;

  constructor(model: string) {
    this.model = model;
  }

  get responseId(): string | null {
    return this.#draft.response?.id ?? null;
  }

  /** Follows the answer to its end. Throws ApiError for what was refused or failed. */
  async run(open: Open): Promise<ResponseObject | null> {
    const signal = this.#abort.signal;
    const connect = (after: number | undefined): Promise<AsyncGenerator<ResponseEvent>> =>
      this.responseId === null
        ? open(after, signal)
        : responses.resume(this.responseId, after, signal);
    const onCut = (attempt: number): void => {
      this.phase = attempt > 0 ? "cut" : this.#wantsStop ? "stopping" : "writing";
    };
    try {
      for await (const event of responses.follow(
        connect,
        () => this.responseId !== null,
        signal,
        onCut,
      )) {
        this.#take(event);
      }
    } finally {
      this.#flush();
    }
    const response = this.#draft.response;
    if (response?.status === "failed") {
      const { code, message } = response.error ?? {
        code: null,
        message: "The answer failed.",
      };
      throw new ApiError(500, code ?? "engine_failed", message);
    }
    return response;
  }

  /** Has the engine stop; what was written stays. */
  async stop(): Promise<void> {
    this.#wantsStop = true;
    this.phase = "stopping";
    if (this.responseId === null) return; // as soon as it has one
    try {
      await responses.cancel(this.responseId);
    } catch (error) {
      this.#wantsStop = false;
      this.phase = "writing";
      throw error;
    }
  }

  /** Stops listening; the answer goes on at the server. */
  leave(): void {
    this.#abort.abort();
  }

  #take(event: ResponseEvent): void {
    const isNew = this.responseId === null;
    this.#draft.apply(event);
    if (event.type === "error") {
      throw new ApiError(500, event.code ?? "engine_failed", event.message ?? "The answer failed.");
    }
    if (isNew && this.#wantsStop && this.responseId !== null) {
      void this.stop().catch(() => undefined); // the button is there again
    }
    if (event.delta !== undefined) this.#count();
    this.#schedule();
  }

  #count(): void {
    const now = performance.now();
    if (this.#deltas++ === 0) {
      this.#first = now;
      if (this.phase === "waiting") this.phase = "writing";
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const rest = document.hidden ? HIDDEN_PAUSE : this.#restUntil - performance.now();
    if (rest > 0) setTimeout(() => this.#flush(), rest);
    else requestAnimationFrame(() => this.#flush());
  }

  /** Text that is costly to show is shown less often: at least half of the time is the reader's. */
  #rest(): void {
    const start = performance.now();
    requestAnimationFrame(() =>
      setTimeout(() => {
        const now = performance.now();
        const cost = now - start - FRAME;
        this.#restUntil = cost > FRAME ? now + cost : 0;
      }),
    );
  }

  #flush(): void {
    this.#isScheduled = false;
    this.items = this.#draft.read();
    this.#rest();
    const seconds = (performance.now() - this.#first) / 1000;
    if (this.#deltas > 1 && seconds > 0.3) this.rate = (this.#deltas - 1) / seconds;
  }
}
