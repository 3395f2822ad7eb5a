/** Tables in Markdown of what is not measured over the number of members. */
import type { StorageSizes } from "mlskit/testing";
import type { BundleSize } from "./bundle.ts";
import { table } from "./markdown.ts";
import type { LargeGroup, Memory } from "./large.ts";
import type { Results } from "./results.ts";
import { digits, formatBytes, formatTime } from "./format.ts";

export function storageTable(sizes: readonly StorageSizes[]): string {
  const spread = ({ median, max }: StorageSizes["sent"]): string => `${median} / ${max}`;
  const head = [
    "members",
    "message sent",
    "received",
    "received late",
    "own commit",
    "commit",
    "group",
    "open",
    "memory",
  ];
  const rows = sizes.map((size) => [
    grouped(size.members),
    ...[size.sent, size.received, size.receivedLate, size.ownCommit, size.receivedCommit].map(
      spread,
    ),
    formatBytes(size.group.bytes),
    formatTime(size.openMilliseconds * 1000),
    size.openBytes === undefined ? "" : formatBytes(size.openBytes),
  ]);
  return table(head, rows);
}

export function scenarioTable(scenarios: Results["scenarios"]): string {
  const rows = scenarios.flatMap(({ name, size, suite, milliseconds, events }) =>
    Object.entries(events).map(([event, { median, p95, count }], i) => [
      ...(i === 0
        ? [name, `${suite}`, `${size}`, formatTime(milliseconds * 1000)]
        : ["", "", "", ""]),
      event,
      `${count}`,
      formatTime(median),
      formatTime(p95),
    ]),
  );
  const head = ["scenario", "suite", "N", "whole", "event", "times", "median", "p95"];
  return table(head, rows);
}

export function largeTable(groups: readonly LargeGroup[]): string {
  const memory = (weighed: Memory | undefined): string =>
    weighed === undefined ? "–" : `${digits(weighed.live)} / ${digits(weighed.resident)} MB`;
  const head = [
    "members",
    "Welcome",
    "client alone",
    "join",
    "adds",
    "open and send",
    "adds",
    "commit",
    "process",
    "send",
    "receive",
  ];
  const rows = groups.map((group) => [
    grouped(group.size),
    formatBytes(group.welcomeBytes),
    memory(group.join.client),
    formatTime(group.join.milliseconds * 1000),
    memory(group.join),
    formatTime(group.open.milliseconds * 1000),
    memory(group.open),
    ...[group.commit, group.process, group.send, group.receive].map((ms) => formatTime(ms * 1000)),
  ]);
  return table(head, rows);
}

export function bundleTable(bundles: readonly BundleSize[]): string {
  const rows = bundles.map(({ name, minified, compressed }) => [
    name,
    formatBytes(minified),
    formatBytes(compressed),
  ]);
  return table(["entry", "minified", "compressed"], rows, 1);
}

function grouped(count: number): string {
  return count.toLocaleString("en");
}
