// The chats that are open in this tab: one that is being answered goes on while others are read.

import { Chat } from "$lib/chat/chat.svelte";
import { router } from "$lib/router.svelte";
import { models } from "./models.svelte";
import { onNews } from "./tabs";

const MOST = 8;
const open = new Map<string, Chat>();

onNews((news) => {
  if (news.about === "chat") void open.get(news.id)?.load();
});

/** The chat of a conversation, or an empty one. */
export function openChat(id: string | null): Chat {
  const known = id === null ? undefined : open.get(id);
  if (known) return known;
  const chat = new Chat(id, models.preferred, (made) => {
    keep(made, chat);
    if (router.route.page === "chat" && router.route.id === null)
      router.rename({ page: "chat", id: made });
  });
  if (id !== null) keep(id, chat);
  return chat;
}

function keep(id: string, chat: Chat): void {
  open.set(id, chat);
  for (const [old, other] of open) {
    if (open.size <= MOST) return;
    if (other.live === null && other !== chat) open.delete(old);
  }
}
