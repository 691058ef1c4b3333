// A conversation is a tree of items: every edit and every new answer to the same question is a
// branch. What is shown is the path from the root to `head`.

import type { Item } from "$lib/api/types";

export class ItemTree {
  readonly items = new Map<string, Item>();
  readonly #children = new Map<string | null, string[]>();

  /** `items` in the order in which they were written. */
  constructor(items: Iterable<Item> = []) {
    for (const item of items) this.add(item);
  }

  /** Adds the newest item, or replaces the one of the same id. */
  add(item: Item): void {
    const isNew = !this.items.has(item.id);
    this.items.set(item.id, item);
    if (!isNew) return;
    const parent = item.parent_id ?? null;
    const siblings = this.#children.get(parent) ?? [];
    siblings.push(item.id);
    this.#children.set(parent, siblings);
  }

  /** The items from the root, or from the oldest known, to `head`. */
  pathTo(head: string | null): Item[] {
    const path: Item[] = [];
    const seen = new Set<string>();
    for (let id = head; id !== null && !seen.has(id);) {
      const item = this.items.get(id);
      if (item === undefined) break;
      seen.add(id);
      path.push(item);
      id = item.parent_id ?? null;
    }
    return path.reverse();
  }

  /** The ids beside `id`, itself included, the oldest first. */
  siblingsOf(id: string): string[] {
    const parent = this.items.get(id)?.parent_id ?? null;
    return this.#children.get(parent) ?? [id];
  }

  /** The end of the newest branch that goes through `id`. */
  newestLeaf(id: string): string {
    let leaf = id;
    for (let next: string | undefined = id; next !== undefined;) {
      leaf = next;
      next = this.#children.get(leaf)?.at(-1);
    }
    return leaf;
  }
}

/** What is shown as one message: a user's, or all that one response wrote. */
export interface Turn {
  /** The id of its first item, which names it. */
  id: string;
  role: "user" | "assistant" | "system";
  items: Item[];
  responseId: string | null;
  model: string | null;
}

export function groupTurns(path: Item[]): Turn[] {
  const turns: Turn[] = [];
  for (const item of path) {
    const role = roleOf(item);
    const last = turns.at(-1);
    if (role === "assistant" && last?.role === "assistant" && belongsTo(last, item)) {
      last.items.push(item);
      last.model ??= item.model ?? null;
      continue;
    }
    const responseId = item.response_id ?? null;
    turns.push({ id: item.id, role, items: [item], responseId, model: item.model ?? null });
  }
  return turns;
}

export function textOf(item: Item): string {
  return (item.content ?? []).map((part) => part.text ?? "").join("");
}

function belongsTo(turn: Turn, item: Item): boolean {
  // what a tool answered stands between two responses, and in one message here
  return item.type === "function_call_output" || turn.responseId === (item.response_id ?? null);
}

function roleOf(item: Item): Turn["role"] {
  if (item.type !== "message" || item.role === "assistant") return "assistant";
  return item.role === "user" ? "user" : "system";
}
