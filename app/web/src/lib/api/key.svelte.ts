// The API key that people enter: for this tab, or kept in this browser.

const NAME = "corral.key";

function read(storage: () => Storage): string {
  try {
    return storage().getItem(NAME) ?? "";
  } catch {
    return ""; // storage is forbidden: the key lasts as long as the page
  }
}

function write(storage: () => Storage, value: string): void {
  try {
    if (value) storage().setItem(NAME, value);
    else storage().removeItem(NAME);
  } catch {
    // as above
  }
}

class KeyStore {
  value = $state("");
  isKept = $state(false);
  /** Whether the server has refused a request for want of a key. */
  isWanted = $state(false);

  constructor() {
    const kept = read(() => localStorage);
    this.value = kept || read(() => sessionStorage);
    this.isKept = kept !== "";
  }

  set(value: string, isKept: boolean): void {
    this.value = value.trim();
    this.isKept = isKept && this.value !== "";
    this.isWanted = false;
    write(() => localStorage, this.isKept ? this.value : "");
    write(() => sessionStorage, this.isKept ? "" : this.value);
  }
}

export const key = new KeyStore();
