// The sidebar's list: every conversation of every model, the newest first.

import * as api from "$lib/api/conversations";
import type { Conversation } from "$lib/api/types";
import { formatDay } from "$lib/format";
import { inTab, read, write } from "$lib/storage";
import { onNews, tell } from "./tabs";
import { toasts } from "./toasts.svelte";

export interface Group {
  name: string;
  sessions: Conversation[];
}

export const titleOf = (session: Conversation): string =>
  session.metadata.title || session.preview?.trim() || "New chat";

export const isPinned = (session: Conversation): boolean => session.metadata.pinned === "true";

export function groupByDay(sessions: Conversation[], now?: number): Group[] {
  const groups: Group[] = [];
  const pinned = sessions.filter(isPinned);
  if (pinned.length > 0) groups.push({ name: "Pinned", sessions: pinned });
  for (const session of sessions) {
    if (isPinned(session)) continue;
    const name = formatDay(session.updated_at, now);
    const last = groups.at(-1);
    if (last?.name === name) last.sessions.push(session);
    else groups.push({ name, sessions: [session] });
  }
  return groups;
}

const LEFT = "corral.left";

class SessionStore {
  all = $state.raw<Conversation[]>([]);
  query = $state("");
  hasMore = $state(false);
  /** What stands in the way of the list, for people. */
  error = $state.raw<unknown>(null);
  isLoaded = $state(false);
  #hidden = $state.raw<ReadonlySet<string>>(new Set());
  #request = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Deleted as the page was left: the server may list them for a moment more. */
  readonly #left = new Set(read(inTab, LEFT).split(" "));

  shown = $derived(this.all.filter(({ id }) => !this.#hidden.has(id) && !this.#left.has(id)));

  constructor() {
    onNews(() => void this.refresh());
    write(inTab, LEFT, "");
    addEventListener("pagehide", () => {
      write(inTab, LEFT, [...this.#hidden].join(" "));
      for (const id of this.#hidden) void this.#drop(id, true);
    });
  }

  search(query: string): void {
    this.query = query;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), 150);
  }

  /** Reads as much of the list again as was read before. */
  async refresh(): Promise<void> {
    const request = ++this.#request;
    const wanted = this.query.trim() ? 50 : Math.max(50, this.all.length);
    try {
      const found: Conversation[] = [];
      let hasMore = true;
      while (hasMore && found.length < wanted) {
        const after = found.at(-1)?.id;
        const page = await api.list({ after, query: this.query.trim() || undefined });
        if (request !== this.#request) return;
        found.push(...page.data);
        hasMore = page.has_more;
      }
      this.all = found;
      this.hasMore = hasMore;
      this.error = null;
    } catch (error) {
      if (request === this.#request) this.error = error;
    } finally {
      if (request === this.#request) this.isLoaded = true;
    }
  }

  async more(): Promise<void> {
    const request = this.#request;
    const query = this.query.trim() || undefined;
    const asked = api.list({ after: this.all.at(-1)?.id, query });
    const page = await asked.catch(() => null); // the next refresh says what is wrong
    if (page === null || request !== this.#request) return;
    const known = new Set(this.all.map((session) => session.id));
    this.all = [...this.all, ...page.data.filter((session) => !known.has(session.id))];
    this.hasMore = page.has_more;
  }

  async rename(session: Conversation, title: string): Promise<void> {
    await this.#update(session, { ...session.metadata, title: title.trim().slice(0, 512) });
  }

  async pin(session: Conversation, isPinned: boolean): Promise<void> {
    const { pinned: _, ...rest } = session.metadata;
    await this.#update(session, isPinned ? { ...rest, pinned: "true" } : rest);
  }

  /** Hides a conversation, and deletes it unless that is undone. */
  delete(session: Conversation): void {
    this.#hide(session.id, true);
    toasts.show(`“${titleOf(session).slice(0, 40)}” was deleted.`, {
      action: { label: "Undo", run: () => this.#hide(session.id, false) },
      onGone: () => void this.#drop(session.id),
    });
  }

  async #update(session: Conversation, metadata: Record<string, string>): Promise<void> {
    const old = this.all;
    this.all = old.map((other) => (other.id === session.id ? { ...other, metadata } : other));
    try {
      await api.update(session.id, { metadata });
      tell({ about: "sessions" });
    } catch (error) {
      this.all = old;
      toasts.fail(error);
    }
  }

  #hide(id: string, isHidden: boolean): void {
    const hidden = new Set(this.#hidden);
    if (isHidden) hidden.add(id);
    else hidden.delete(id);
    this.#hidden = hidden;
  }

  async #drop(id: string, isLeaving = false): Promise<void> {
    try {
      await api.drop(id, isLeaving);
      this.all = this.all.filter((session) => session.id !== id);
      tell({ about: "sessions" });
    } catch (error) {
      toasts.fail(error);
    } finally {
      this.#hide(id, false);
    }
  }
}

export const sessions = new SessionStore();
