/**
 * Code in pieces of about `size` characters: cut after a blank line where one stands before a line
 * at the margin, or else at the end of any line, so that little is torn that belongs together.
 */
export function cutCode(code: string, size: number): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (code.length - start > size * 1.5) {
    const reach = code.slice(start, start + size);
    const gap = [...reach.matchAll(/\n\n(?=\S)/g)].at(-1)?.index;
    const line = reach.lastIndexOf("\n");
    const length = gap !== undefined && gap > size / 4 ? gap + 2 : line > 0 ? line + 1 : size;
    pieces.push(code.slice(start, start + length));
    start += length;
  }
  pieces.push(code.slice(start));
  return pieces;
}
