// What a browser keeps for us, if it may: where storage is forbidden, nothing is kept and all works.

type Place = () => Storage;

export const inBrowser: Place = () => localStorage;
export const inTab: Place = () => sessionStorage;

export function read(place: Place, name: string): string {
  try {
    return place().getItem(name) ?? "";
  } catch {
    return "";
  }
}

/** Keeps `value`, or nothing where it is empty. */
export function write(place: Place, name: string, value: string): void {
  try {
    if (value) place().setItem(name, value);
    else place().removeItem(name);
  } catch {
    // forbidden, or full
  }
}
