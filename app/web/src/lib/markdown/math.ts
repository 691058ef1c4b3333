// Mathematics, loaded when the first formula is shown. KaTeX builds elements; it gets no trust.

let loading: Promise<typeof import("katex").default> | undefined;

export async function renderMath(root: ParentNode): Promise<void> {
  const formulas = root.querySelectorAll<HTMLElement>("span.math:not([data-done])");
  if (formulas.length === 0) return;
  loading ??= import("./katex").then((module) => module.katex);
  const katex = await loading;
  for (const formula of formulas) {
    const tex = formula.textContent ?? "";
    formula.dataset.done = "";
    try {
      katex.render(tex, formula, {
        displayMode: formula.dataset.shown !== undefined,
        trust: false,
        strict: "ignore",
        maxSize: 20,
        maxExpand: 200,
      });
    } catch {
      formula.textContent = tex; // what is no formula is shown as it was written
    }
  }
}
