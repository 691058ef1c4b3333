const locale = (): string => navigator.language;

export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${formatNumber(value, power === 0 || value >= 100 ? 0 : 1)} ${units[power]}`;
}

export function formatNumber(value: number, digits = 0): string {
  return value.toLocaleString(locale(), { maximumFractionDigits: digits });
}

/** `7.6B`, `4.3M`, as models are called. */
export function formatParameters(count: number): string {
  if (count >= 1e9) return `${formatNumber(count / 1e9, 1)}B`;
  if (count >= 1e6) return `${formatNumber(count / 1e6, 1)}M`;
  return `${formatNumber(count / 1e3, 0)}K`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${formatNumber(seconds * 1000, 0)} ms`;
  if (seconds < 100) return `${formatNumber(seconds, 1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export const formatTime = (unix: number): string =>
  new Date(unix * 1000).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });

export const formatClock = (unix: number): string =>
  new Date(unix * 1000).toLocaleTimeString(locale());

export const formatMoment = (unix: number): string =>
  new Date(unix * 1000).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });

// Formatting a date is slow, and a long list has many of one day.
const days = new Map<string, string>();

/** The day in words: today, yesterday, a weekday, a date. Days are the reader's. */
export function formatDay(unix: number, now = Date.now()): string {
  const name = `${dayNumber(now)} ${dayNumber(unix * 1000)}`;
  const known = days.get(name) ?? describeDay(unix, now);
  days.set(name, known);
  return known;
}

function describeDay(unix: number, now: number): string {
  const days = dayNumber(now) - dayNumber(unix * 1000);
  if (days < 2 && days >= -1) {
    return capitalize(
      new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(-days, "day"),
    );
  }
  const date = new Date(unix * 1000);
  if (days < 7 && days > 0) return date.toLocaleDateString(locale(), { weekday: "long" });
  const isThisYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString(locale(), {
    day: "numeric",
    month: "long",
    ...(isThisYear ? {} : { year: "numeric" }),
  });
}

function dayNumber(time: number): number {
  const date = new Date(time);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}

const capitalize = (text: string): string => text.charAt(0).toLocaleUpperCase() + text.slice(1);
