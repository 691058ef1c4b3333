// A chat as Markdown: what is shown of it, for people and other programs.

import * as conversations from "$lib/api/conversations";
import type { Conversation, Item } from "$lib/api/types";
import { download } from "$lib/download";
import { formatMoment } from "$lib/format";
import { titleOf } from "$lib/stores/sessions.svelte";
import { readParts } from "./files";
import { readSettings } from "./settings";
import { groupTurns, ItemTree, textOf, type Turn } from "./tree";

export async function exportChat(session: Conversation): Promise<void> {
  const conversation = await conversations.get(session.id);
  let items: Item[] = [];
  let after: string | undefined;
  for (let hasMore = true; hasMore;) {
    const page = await conversations.items(session.id, after);
    items = [...page.data.toReversed(), ...items];
    hasMore = page.has_more;
    after = page.last_id ?? undefined;
  }
  const text = writeChat(
    titleOf(session),
    conversation,
    groupTurns(new ItemTree(items).pathTo(conversation.head)),
  );
  const name = titleOf(session)
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .slice(0, 60);
  download(`${name || "chat"}.md`, new Blob([text], { type: "text/markdown" }));
}

export function writeChat(title: string, conversation: Conversation, turns: Turn[]): string {
  const parts = [`# ${title}`, formatMoment(conversation.created_at)];
  const instructions = readSettings(conversation.metadata).instructions;
  if (instructions) parts.push("## System prompt", instructions);
  for (const turn of turns)
    parts.push(`## ${turn.role === "user" ? "You" : (turn.model ?? "Model")}`, writeTurn(turn));
  return parts.join("\n\n") + "\n";
}

function writeTurn(turn: Turn): string {
  if (turn.role === "user") {
    return turn.items
      .map((item) => {
        const { text, files } = readParts(item.content ?? []);
        return [
          ...files.map((file) => `File \`${file.name}\`:\n\n~~~~\n${file.text}\n~~~~`),
          text,
        ].join("\n\n");
      })
      .join("\n\n");
  }
  return turn.items.map(writeItem).filter(Boolean).join("\n\n");
}

function writeItem(item: Turn["items"][number]): string {
  if (item.type === "message") return textOf(item);
  if (item.type === "function_call") return `\`${item.name}(${item.arguments ?? ""})\``;
  if (item.type === "function_call_output" && typeof item.output === "string")
    return `→ \`${item.output}\``;
  return "";
}
