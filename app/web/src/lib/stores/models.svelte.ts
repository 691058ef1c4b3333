import * as admin from "$lib/api/admin";
import type { Model, ModelList } from "$lib/api/types";
import { inBrowser, read, write } from "$lib/storage";
import { poll } from "./poll";
import { toasts } from "./toasts.svelte";

const CHOSEN = "corral.model";

export const canChat = (model: Model): boolean =>
  model.capabilities.includes("chat") &&
  !["failed", "absent"].includes(model.state) &&
  !model.error;

export type Fit = "fits" | "swaps" | "never";

/** Whether a model that is not in memory has room there: at once, in another's place, or never. */
export function fitOf(model: Model, list: ModelList): Fit {
  const needed = model.memory ?? model.size;
  if (needed > list.memory.budget) return "never";
  const loaded = list.models.filter(({ state }) => ["hot", "warm", "loading"].includes(state));
  if (list.max_loaded_models && loaded.length >= list.max_loaded_models) return "swaps";
  return needed <= list.memory.budget - list.memory.used ? "fits" : "swaps";
}

class ModelStore {
  list = $state.raw<ModelList | null>(null);
  error = $state.raw<unknown>(null);
  chosen = $state(read(inBrowser, CHOSEN));

  chatting = $derived((this.list?.models ?? []).filter(canChat));

  find(id: string | null): Model | undefined {
    return this.list?.models.find((model) => model.id === id || model.aliases?.includes(id ?? ""));
  }

  /** The model that a new chat begins with. */
  get preferred(): string {
    if (this.chatting.some((model) => model.id === this.chosen)) return this.chosen;
    const loaded = this.chatting.find((model) => model.state === "hot");
    return (loaded ?? this.chatting[0])?.id ?? "";
  }

  choose(id: string): void {
    this.chosen = id;
    write(inBrowser, CHOSEN, id);
  }

  async refresh(): Promise<void> {
    try {
      this.list = await admin.models();
      this.error = null;
    } catch (error) {
      this.error = error;
    }
  }

  watch(): () => void {
    const isMoving = (): boolean =>
      this.list?.models.some(({ state }) => state === "loading" || state === "draining") ?? false;
    return poll(
      () => this.refresh(),
      () => (isMoving() ? 0.7 : 4),
    );
  }

  load = (id: string): Promise<void> => this.#act(admin.load(id));
  unload = (id: string): Promise<void> => this.#act(admin.unload(id));
  delete = (id: string): Promise<void> => this.#act(admin.drop(id));

  async #act(work: Promise<unknown>): Promise<void> {
    setTimeout(() => void this.refresh(), 150);
    try {
      await work;
    } catch (error) {
      toasts.fail(error);
    }
    await this.refresh();
  }
}

export const models = new ModelStore();
