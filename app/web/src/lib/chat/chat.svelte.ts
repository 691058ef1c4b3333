// One conversation: what is shown of it, and what can be done with it.

import * as conversations from "$lib/api/conversations";
import { explain, type Explanation } from "$lib/api/errors";
import * as responses from "$lib/api/responses";
import type { ChatSettings, Conversation, Item, ResponseObject } from "$lib/api/types";
import { models } from "$lib/stores/models.svelte";
import { sessions } from "$lib/stores/sessions.svelte";
import { tell } from "$lib/stores/tabs";
import { type TextFile, writeParts } from "./files";
import { readSettings, writeSettings } from "./settings";
import { LiveAnswer } from "./live.svelte";
import { groupTurns, ItemTree, type Turn } from "./tree";

interface Failure extends Explanation {
  retry: (() => void) | null;
}

const PATIENCE = 20; // seconds after a question in which its answer may begin

interface Wanted {
  after: string | null;
  input: responses.Asked["input"];
}

export class Chat {
  id = $state<string | null>(null);
  conversation = $state.raw<Conversation | null>(null);
  settings = $state.raw<ChatSettings>({});
  model = $state("");
  live = $state.raw<LiveAnswer | null>(null);
  failure = $state.raw<Failure | null>(null);
  isLoading = $state(false);
  /** Whether an answer should begin any moment that was asked for elsewhere. */
  isExpecting = $state(false);
  /** Figures of answers by response id: of those that ended here, or were asked for. */
  figures = $state.raw<Record<string, ResponseObject>>({});
  /** What is shown, made anew with the path: a chat outlives the page that made it, and what is
   * derived would not. */
  turns = $state.raw<Turn[]>([]);
  #path: Item[] = [];
  #tree = new ItemTree();
  #onCreated: (id: string) => void;

  constructor(id: string | null, model: string, onCreated: (id: string) => void) {
    this.id = id;
    this.model = model;
    this.#onCreated = onCreated;
  }

  get isEmpty(): boolean {
    return this.turns.length === 0 && this.live === null && !this.isLoading;
  }

  // ---- reading

  async load(): Promise<void> {
    if (this.id === null || this.live !== null) return;
    this.isLoading = this.conversation === null;
    try {
      const conversation = await conversations.get(this.id);
      await this.#readItems(conversation);
      this.model = conversation.model || this.model;
      this.failure = null;
    } catch (error) {
      this.#fail(error, () => void this.load());
    } finally {
      this.isLoading = false;
    }
    this.#attach();
  }

  /** The newest items first, so that the end of a long chat is there at once; then all of it. */
  async #readItems(conversation: Conversation): Promise<void> {
    let known: Item[] = [];
    let after: string | undefined;
    let isShown = false;
    for (let hasMore = true; hasMore;) {
      const page = await conversations.items(conversation.id, after);
      if (this.live !== null) return; // meanwhile an answer is listened to, and knows better
      known = [...page.data.toReversed(), ...known];
      hasMore = page.has_more;
      after = page.last_id ?? undefined;
      if (isShown && hasMore) continue;
      const tree = new ItemTree(known);
      const path = tree.pathTo(conversation.head);
      if (path.length === 0 && hasMore) continue;
      this.#tree = tree;
      this.#show(path);
      this.conversation = conversation;
      this.settings = readSettings(conversation.metadata);
      this.isLoading = false;
      isShown = true;
    }
  }

  /** Goes on listening to an answer that is being written, here or in another tab. */
  #attach(): void {
    const last = this.#path.at(-1);
    const id = last?.response_id;
    const age = Date.now() / 1000 - (last?.created_at ?? 0);
    this.isExpecting = this.live === null && last?.role === "user" && age < PATIENCE;
    if (this.isExpecting) setTimeout(() => void this.load(), 1000);
    if (this.live !== null || last?.status !== "in_progress" || !id) return;
    this.#show(this.#path.filter((item) => item.response_id !== id));
    const open = (after: number | undefined, signal: AbortSignal) =>
      responses.resume(id, after, signal);
    void this.#follow(new LiveAnswer(last.model ?? this.model), open, () => void this.load());
  }

  async readFigures(responseId: string): Promise<void> {
    if (this.figures[responseId] !== undefined) return;
    try {
      const response = await responses.get(responseId);
      this.figures = { ...this.figures, [responseId]: response };
    } catch {
      // retention may have taken it: an answer without figures is one all the same
    }
  }

  // ---- asking

  send(text: string, files: TextFile[]): void {
    const input = [{ role: "user" as const, content: writeParts(text, files) }];
    void this.#ask({ after: this.#path.at(-1)?.id ?? null, input });
  }

  /** Another answer to the same question, beside the old one. */
  regenerate(turn: Turn): void {
    void this.#ask({ after: turn.items[0]?.parent_id ?? null, input: [] });
  }

  /** Another question in the place of an old one, on a branch of its own. */
  edit(turn: Turn, text: string, files: TextFile[]): void {
    const input = [{ role: "user" as const, content: writeParts(text, files) }];
    void this.#ask({ after: turn.items[0]?.parent_id ?? null, input });
  }

  /** An answer to the last message, which has none, or has only a part of one. */
  answerLast(): void {
    const last = this.#path.findLast((item) => item.role === "user");
    if (last) void this.#ask({ after: last.id, input: [] });
  }

  stop(): void {
    this.live?.stop().catch((error: unknown) => this.#fail(error, null));
  }

  async #ask(wanted: Wanted): Promise<void> {
    if (this.live !== null) return;
    this.failure = null;
    const path = wanted.after === null ? [] : this.#tree.pathTo(wanted.after);
    this.#show([...path, ...wanted.input.map((message) => makeLocal(message, wanted.after))]);
    const live = new LiveAnswer(this.model);
    const open = async (_after: number | undefined, signal: AbortSignal) => {
      const id = this.id ?? (await this.#create());
      return responses.start(this.#body(id, wanted), signal);
    };
    await this.#follow(live, open, () => void this.#ask(wanted));
  }

  #body(id: string, { after, input }: Wanted): responses.Asked {
    const { instructions, sampling } = this.settings;
    return {
      model: this.model,
      conversation: { id, after },
      input,
      ...sampling,
      ...(instructions?.trim() ? { instructions } : {}),
    };
  }

  async #create(): Promise<string> {
    const conversation = await conversations.create(writeSettings({}, this.settings));
    this.conversation = conversation;
    this.id = conversation.id;
    this.#onCreated(conversation.id);
    return conversation.id;
  }

  async #follow(
    live: LiveAnswer,
    open: Parameters<LiveAnswer["run"]>[0],
    retry: () => void,
  ): Promise<void> {
    this.live = live;
    this.#tellSoon();
    try {
      const response = await live.run(open);
      if (response) this.figures = { ...this.figures, [response.id]: response };
      await this.#settle();
    } catch (error) {
      // what was refused was never kept: it stays shown, to be sent again
      if (live.responseId === null) return this.#fail(error, retry);
      await this.#settle().catch(() => undefined);
      this.#fail(error, () => this.answerLast());
    } finally {
      this.live = null;
      this.#tell();
      void sessions.refresh();
    }
  }

  /** What the server keeps takes the place of what was shown meanwhile. */
  async #settle(): Promise<void> {
    if (this.id === null) return;
    const [conversation, page] = await Promise.all([
      conversations.get(this.id),
      conversations.items(this.id),
    ]);
    page.data.toReversed().forEach((item) => this.#tree.add(item));
    const path = this.#tree.pathTo(conversation.head);
    this.conversation = conversation;
    this.live = null; // in one step, for both hold the same items
    if (path.length > 0) this.#show(path);
  }

  #show(path: Item[]): void {
    this.#path = path;
    this.turns = groupTurns(path);
  }

  #tellSoon(): void {
    setTimeout(() => {
      this.#tell();
      void sessions.refresh();
      void models.refresh(); // one that is being loaded for it says so
    }, 300); // by then the conversation has its first item
  }

  #tell(): void {
    if (this.id !== null) tell({ about: "chat", id: this.id });
  }

  #fail(error: unknown, retry: (() => void) | null): void {
    const explained = explain(error);
    this.failure = { ...explained, retry: explained.canRetry ? retry : null };
  }

  // ---- branches and settings

  branchesOf(turn: Turn): { index: number; ids: string[] } {
    const ids = this.#tree.siblingsOf(turn.id);
    return { index: Math.max(0, ids.indexOf(turn.id)), ids };
  }

  async switchTo(id: string): Promise<void> {
    if (this.id === null || this.live !== null) return;
    const head = this.#tree.newestLeaf(id);
    this.#show(this.#tree.pathTo(head));
    this.failure = null;
    try {
      this.conversation = await conversations.update(this.id, { head });
      this.#tell();
    } catch (error) {
      this.#fail(error, () => void this.switchTo(id));
    }
  }

  async configure(settings: ChatSettings): Promise<void> {
    this.settings = settings;
    if (this.id === null || this.conversation === null) return;
    const metadata = writeSettings(this.conversation.metadata, settings);
    try {
      this.conversation = await conversations.update(this.id, { metadata });
      void sessions.refresh();
    } catch (error) {
      this.#fail(error, () => void this.configure(settings));
    }
  }
}

function makeLocal(message: responses.Asked["input"][number], parent: string | null): Item {
  return { id: `local_${Date.now()}`, type: "message", ...message, parent_id: parent };
}
