import { describe, expect, it } from "vitest";
import type { Item } from "$lib/api/types";
import { groupTurns, ItemTree, textOf } from "./tree";

function user(id: string, parent: string | null): Item {
  const content = [{ type: "input_text", text: id }];
  return { id, type: "message", role: "user", parent_id: parent, content };
}

function answer(id: string, parent: string, type = "message"): Item {
  const more = { role: "assistant", response_id: `resp_${id.split(".")[0]}`, model: "m" };
  return { id, type, parent_id: parent, ...more };
}

const tree = new ItemTree([
  user("u1", null),
  answer("a1.1", "u1", "reasoning"),
  answer("a1.2", "a1.1"),
  user("u3", "a1.2"),
  answer("a2", "u1"),
  user("u2", "a1.2"),
]);

describe("ItemTree", () => {
  it("tells the path to a head", () => {
    expect(tree.pathTo("u2").map((item) => item.id)).toEqual(["u1", "a1.1", "a1.2", "u2"]);
    expect(tree.pathTo(null)).toEqual([]);
    expect(tree.pathTo("nobody")).toEqual([]);
  });

  it("begins at the oldest item that is known", () => {
    expect(new ItemTree([user("u2", "a1")]).pathTo("u2").map((item) => item.id)).toEqual(["u2"]);
  });

  it("does not hang on a circle", () => {
    expect(new ItemTree([user("a", "b"), user("b", "a")]).pathTo("a")).toHaveLength(2);
  });

  it("tells branches, the oldest first", () => {
    expect(tree.siblingsOf("a1.1")).toEqual(["a1.1", "a2"]);
    expect(tree.siblingsOf("u2")).toEqual(["u3", "u2"]);
    expect(tree.siblingsOf("u1")).toEqual(["u1"]);
  });

  it("follows the newest branch to its end", () => {
    expect(tree.newestLeaf("a1.1")).toBe("u2");
    expect(tree.newestLeaf("a2")).toBe("a2");
  });

  it("replaces an item that comes again", () => {
    const grown = new ItemTree([user("u1", null)]);
    grown.add({ ...user("u1", null), status: "completed" });
    expect(grown.siblingsOf("u1")).toEqual(["u1"]);
    expect(grown.pathTo("u1")[0]?.status).toBe("completed");
  });
});

describe("groupTurns", () => {
  it("shows what one response wrote as one message", () => {
    const turns = groupTurns(tree.pathTo("u2"));
    expect(turns.map((turn) => [turn.role, turn.items.length])).toEqual([
      ["user", 1],
      ["assistant", 2],
      ["user", 1],
    ]);
    expect(turns[1]).toMatchObject({ id: "a1.1", model: "m", responseId: "resp_a1" });
  });

  it("keeps answers of two responses apart", () => {
    const path = [answer("a1", "x"), answer("a2", "a1")];
    expect(groupTurns(path)).toHaveLength(2);
  });

  it("keeps what a tool said with its call", () => {
    const call = answer("a1", "u", "function_call");
    const output: Item = {
      id: "o",
      type: "function_call_output",
      parent_id: "a1",
      output: "4",
    };
    expect(groupTurns([call, output])).toHaveLength(1);
  });
});

it("textOf joins the parts", () => {
  const content = [
    { type: "output_text", text: "a" },
    { type: "refusal" },
    { type: "output_text", text: "b" },
  ];
  expect(textOf({ id: "x", type: "message", content })).toBe("ab");
});
