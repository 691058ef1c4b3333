// Conversations for import, without having to have them.

interface Options {
  title?: string;
  /** Unix seconds of the last change. */
  at?: number;
  items?: Record<string, unknown>[];
}

let count = 0;

export function makeConversation({ title, at = Date.now() / 1000, items }: Options): unknown {
  const id = `conv_made${count++}`;
  const given = items ?? [said("user", `About ${title}`), said("assistant", "An answer.")];
  const linked = given.map((item, index) => ({
    ...item,
    id: `${id}_${index}`,
    parent_id: index > 0 ? `${id}_${index - 1}` : null,
    created_at: at,
    ...(item.role === "user" ? {} : { model: "corral-tiny" }),
  }));
  const metadata = title === undefined ? {} : { title };
  const times = { created_at: at, updated_at: at };
  const head = linked.at(-1)?.id;
  return { conversation: { id, ...times, metadata, head, model: "corral-tiny" }, items: linked };
}

export function said(role: "user" | "assistant", text: string): Record<string, unknown> {
  const type = role === "user" ? "input_text" : "output_text";
  return { type: "message", role, status: "completed", content: [{ type, text }] };
}
