// Tabs of one browser tell each other what changed; a tab that comes back to the front asks anew.

export type News = { about: "sessions" } | { about: "chat"; id: string };

const channel = new BroadcastChannel("corral");
const listeners = new Set<(news: News) => void>();

channel.onmessage = (event: MessageEvent<News>) =>
  listeners.forEach((listen) => listen(event.data));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) listeners.forEach((listen) => listen({ about: "sessions" }));
});

export const tell = (news: News): void => channel.postMessage(news);

/** Calls `listen` for what other tabs tell, and when this one is looked at again. */
export function onNews(listen: (news: News) => void): () => void {
  listeners.add(listen);
  return () => listeners.delete(listen);
}
