import * as admin from "$lib/api/admin";
import type { Pull } from "$lib/api/types";
import { models } from "./models.svelte";
import { poll } from "./poll";
import { toasts } from "./toasts.svelte";

const MOVING = 500; // milliseconds between two looks at a pull that runs
const OVER = new Set(["done", "failed", "cancelled"]);

const isOver = (pull: Pull): boolean => OVER.has(pull.stage);

class PullStore {
  all = $state.raw<Pull[]>([]);
  /** Short names that can be pulled. */
  names = $state.raw<string[]>([]);
  /** Those that failed and have been read. */
  #dismissed = $state.raw<string[]>([]);
  /** Those that run or have failed. */
  shown = $derived(
    this.all.filter(({ id, stage }) =>
      stage === "failed" ? !this.#dismissed.includes(id) : !OVER.has(stage),
    ),
  );
  #timer: ReturnType<typeof setTimeout> | undefined;
  #rates = new Map<string, { done: number; at: number; rate: number }>();

  /** Bytes a second of a running pull, once it is known. */
  rateOf(id: string): number | null {
    return this.#rates.get(id)?.rate || null;
  }

  async refresh(): Promise<void> {
    const running = new Set(this.all.filter((pull) => !isOver(pull)).map((pull) => pull.id));
    try {
      const all = await admin.pulls();
      all.forEach((pull) => this.#measure(pull));
      this.all = all;
      clearTimeout(this.#timer);
      if (!all.every(isOver)) this.#timer = setTimeout(() => void this.refresh(), MOVING);
      if (all.some((pull) => pull.stage === "done" && running.has(pull.id))) await models.refresh();
    } catch {
      // the list of models says what is wrong
    }
  }

  watch(): () => void {
    void admin.registry().then(
      (names) => (this.names = names),
      () => undefined, // names are a help; the list of models says what is wrong
    );
    return poll(
      () => this.refresh(),
      () => 4,
    );
  }

  async start(model: string): Promise<boolean> {
    try {
      await admin.pull(model);
      await this.refresh();
      return true;
    } catch (error) {
      toasts.fail(error);
      return false;
    }
  }

  async cancel(id: string): Promise<void> {
    try {
      await admin.cancelPull(id);
    } catch (error) {
      toasts.fail(error);
    }
    await this.refresh();
  }

  dismiss(id: string): void {
    this.#dismissed = [...this.#dismissed, id];
  }

  #measure(pull: Pull): void {
    const at = performance.now() / 1000;
    const past = this.#rates.get(pull.id);
    if (past === undefined) {
      this.#rates.set(pull.id, { done: pull.done, at, rate: 0 });
    } else if (at - past.at > 0.4) {
      const now = Math.max(0, pull.done - past.done) / (at - past.at);
      const rate = past.rate ? past.rate * 0.7 + now * 0.3 : now;
      this.#rates.set(pull.id, { done: pull.done, at, rate });
    }
  }
}

export const pulls = new PullStore();
