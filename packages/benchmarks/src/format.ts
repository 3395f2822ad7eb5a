/** Numbers as people read them. */

/** Microseconds to a readable time. */
export function formatTime(time: number): string {
  if (time >= 1e6) return `${digits(time / 1e6)} s`;
  if (time >= 1e3) return `${digits(time / 1e3)} ms`;
  return `${digits(time)} µs`;
}

export function formatBytes(bytes: number): string {
  if (bytes >= 1e6) return `${digits(bytes / 1e6)} MB`;
  if (bytes >= 1e3) return `${digits(bytes / 1e3)} kB`;
  return `${bytes} B`;
}

/** Three significant ones. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
