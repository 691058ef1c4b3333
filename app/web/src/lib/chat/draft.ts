// The items of an answer, put together from its events.

import type { Item, ResponseEvent, ResponseObject } from "$lib/api/types";

export class Draft {
  response: ResponseObject | null = null;
  /** Characters of text, thought and calls so far. */
  size = 0;
  #items: Item[] = [];
  #dirty = new Set<number>();

  /** The items so far. One that has not changed since the last time is the same object. */
  read(): Item[] {
    for (const index of this.#dirty) this.#items[index] = { ...this.#items[index]! };
    this.#dirty.clear();
    return this.#items.slice();
  }

  apply(event: ResponseEvent): void {
    if (event.response) this.response = event.response;
    const index = event.output_index ?? -1;
    switch (event.type) {
      case "response.output_item.added":
      case "response.output_item.done":
        if (event.item) this.#put(index, event.item);
        break;
      case "response.output_text.delta":
      case "response.refusal.delta":
        this.#append(index, "content", "output_text", event.delta);
        break;
      case "response.reasoning_text.delta":
        this.#append(index, "content", "reasoning_text", event.delta);
        break;
      case "response.reasoning_summary_text.delta":
        this.#append(index, "summary", "summary_text", event.delta);
        break;
      case "response.function_call_arguments.delta":
        this.#extend(index, event.delta);
        break;
      default:
        if (event.response?.output?.length && event.type !== "response.created") {
          event.response.output.forEach((item, place) => this.#put(place, item));
        }
    }
  }

  #put(index: number, item: Item): void {
    this.#items[index] = { ...this.#items[index], ...item };
    this.#dirty.add(index);
  }

  #append(index: number, field: "content" | "summary", type: string, delta = ""): void {
    const item = this.#items[index];
    if (item === undefined) return;
    const parts = item[field] ?? [];
    const last = parts.at(-1);
    const grown = { type, text: (last?.text ?? "") + delta };
    item[field] = [...parts.slice(0, -1), grown];
    this.#grow(index, delta);
  }

  #extend(index: number, delta = ""): void {
    const item = this.#items[index];
    if (item === undefined) return;
    item.arguments = (item.arguments ?? "") + delta;
    this.#grow(index, delta);
  }

  #grow(index: number, delta: string): void {
    this.size += delta.length;
    this.#dirty.add(index);
  }
}
