// Addresses live behind the `#`: they need nothing of the server or of a proxy before it.

export type Route =
  | { page: "chat"; id: string | null }
  | { page: "models" }
  | { page: "status" }
  | { page: "settings" };

export function parseRoute(hash: string): Route {
  const [page, id] = hash.replace(/^#\/?/, "").split("/");
  if (page === "models" || page === "status" || page === "settings") return { page };
  return { page: "chat", id: page === "chat" && id ? decodeURIComponent(id) : null };
}

export const hrefOf = (route: Route): string =>
  route.page === "chat"
    ? route.id
      ? `#/chat/${encodeURIComponent(route.id)}`
      : "#/"
    : `#/${route.page}`;

class Router {
  route = $state.raw<Route>(parseRoute(location.hash));
  /** Counts visits to the empty chat, so that "New chat" starts one even where one is shown. */
  visit = $state(0);

  constructor() {
    addEventListener("hashchange", () => this.#read());
  }

  go(route: Route): void {
    if (hrefOf(route) === (location.hash || "#/")) this.#read();
    else location.hash = hrefOf(route);
  }

  /** The same page from now on has this address: no step back to the old one. */
  rename(route: Route): void {
    history.replaceState(null, "", hrefOf(route));
    this.route = route;
  }

  #read(): void {
    this.route = parseRoute(location.hash);
    this.visit++;
  }
}

export const router = new Router();
