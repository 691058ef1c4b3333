class Layout {
  /** On narrow screens, where the sidebar lies over the page. */
  isSidebarOpen = $state(false);
}

export const layout = new Layout();
