import { getJson, postJson, queryOf, send } from "./client";
import type { Conversation, Item, Page } from "./types";

const ROOT = "/v1/conversations";

export interface Changes {
  metadata?: Record<string, string>;
  head?: string;
}

export function list(
  query: { after?: string | undefined; query?: string | undefined; limit?: number },
  signal?: AbortSignal,
): Promise<Page<Conversation>> {
  return getJson(ROOT + queryOf({ order: "desc", limit: 50, ...query }), signal);
}

export const get = (id: string): Promise<Conversation> => getJson(`${ROOT}/${id}`);

export const create = (metadata: Record<string, string>): Promise<Conversation> =>
  postJson(ROOT, { metadata });

export const update = (id: string, changes: Changes): Promise<Conversation> =>
  postJson(`${ROOT}/${id}`, changes);

export async function drop(id: string, isLeaving: boolean): Promise<void> {
  await send(`${ROOT}/${id}`, { method: "DELETE", isLeaving });
}

/** Items of every branch, the newest first. */
export function items(id: string, after?: string): Promise<Page<Item>> {
  const query = queryOf({ branches: "all", order: "desc", limit: 100, after });
  return getJson(`${ROOT}/${id}/items${query}`);
}

/** All conversations as JSON lines. */
export const exportAll = async (): Promise<Blob> => (await send(`${ROOT}/export`)).blob();

export async function importAll(text: string): Promise<void> {
  await send(`${ROOT}/import`, { method: "POST", text });
}
