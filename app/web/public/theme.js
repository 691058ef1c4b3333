// Before the first paint, so that a chosen theme never flashes in the other one's colours.
try {
  const theme = localStorage.getItem("corral.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage is forbidden: the system's theme it is
}
