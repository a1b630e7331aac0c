/** The views of the page: their addresses, their rooms, and the right that each needs. Rail, palette and titles read this. */
import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

export const ROOMS = ["Create", "Produce", "Run"] as const;
export type Room = (typeof ROOMS)[number];
export const ROOM_NAMES: Record<Room, MessageDescriptor> = { Create: msg`Create`, Produce: msg`Produce`, Run: msg`Run` };

export interface View {
  path:
    | "/"
    | "/projects"
    | "/presenters"
    | "/pronunciations"
    | "/library"
    | "/brands"
    | "/trash"
    | "/welcome"
    | "/chat"
    | "/talk"
    | "/queue"
    | "/videos"
    | "/publications"
    | "/snapshots"
    | "/run/approvals"
    | "/run/planned"
    | "/run/machines"
    | "/run/nodes"
    | "/run/jobs"
    | "/run/runs"
    | "/run/health"
    | "/run/doctor"
    | "/run/log"
    | "/run/audit"
    | "/run/keys"
    | "/run/policy"
    | "/run/webhooks"
    | "/run/storage"
    | "/run/settings";
  /** Addresses that begin so belong to it too. */
  below?: string;
  /** Reached by links and the palette: the rail has no place for it. */
  unlisted?: boolean;
  /** Behind “More” in the rail: few people need it every day. */
  rare?: boolean;
  name: MessageDescriptor;
  room: Room;
  permission: string;
  icon: IconName;
}

export type IconName = keyof typeof ICONS;

/** Strokes on a square of 20. */
export const ICONS = {
  film: "M3 5h14v10H3zM8 8l4 2-4 2z",
  folder: "M3 6h5l2 2h7v7H3z",
  face: "M10 4a3 3 0 0 1 0 6 3 3 0 0 1 0-6M4 17c.6-3.4 3-5 6-5s5.4 1.6 6 5",
  speech: "M4 10v0M7 7v6M10 4v12M13 7v6M16 9v2",
  picture: "M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 3M13 7.5v0",
  swatch: "M4 3h5v11a2.5 2.5 0 0 1-5 0zM9 7l3-3 4 4-7 7M6.5 14v0",
  bin: "M4 6h12M8 6V3h4v3M5.5 6l1 11h7l1-11",
  chat: "M4 4h12v9H9l-4 3v-3H4z",
  microphone: "M10 3a2 2 0 0 1 2 2v4a2 2 0 0 1-4 0V5a2 2 0 0 1 2-2M5 9a5 5 0 0 0 10 0M10 14v3",
  video: "M3 6h9v8H3zM12 9l5-3v8l-5-3",
  send: "M3 10l14-6-5 13-3-5zM9 12l4-4",
  flag: "M5 17V4h9l-2 3 2 3H5",
  check: "M10 3a7 7 0 0 1 0 14 7 7 0 0 1 0-14M7 10l2 2 4-4",
  clock: "M10 3a7 7 0 0 1 0 14 7 7 0 0 1 0-14M10 6v4l3 2",
  cross: "M8 3h4v5h5v4h-5v5H8v-5H3V8h5z",
  sliders: "M5 3v6M5 13v4M10 3v2M10 9v8M15 3v8M15 15v2M3 11h4M8 7h4M13 13h4",
  queue: "M3 5h3M9 5h8M3 10h3M9 10h8M3 15h3M9 15h8",
  card: "M2 6h16v8H2zM6 9h4v2H6zM13 10v0M5 14v3M9 14v3",
  boxes: "M3 3h6v6H3zM11 3h6v6h-6zM7 11h6v6H7z",
  scales: "M10 3v14M6 17h8M4 6h12M4 6l-2 6h4zM16 6l-2 6h4z",
  server: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5v0M6 13.5v0",
  play: "M6 4l9 6-9 6z",
  pulse: "M2 10h4l2-5 4 10 2-5h4",
  lines: "M4 5h12M4 9h12M4 13h8",
  book: "M5 3h10v14H5zM8 7h4M8 10h4",
  key: "M7 10a3 3 0 1 0 0 .01M10 10h7M14 10v3",
  hook: "M10 3a3 3 0 0 1 1 5.8l3 5M9 8.5l-3 5.5M6 14a2.5 2.5 0 1 0 2.5 2.5H14M14 14a2.5 2.5 0 1 1-1 4.5",
  disk: "M4 5a6 2 0 0 1 12 0a6 2 0 0 1-12 0v10a6 2 0 0 0 12 0V5M4 10a6 2 0 0 0 12 0",
  bell: "M5 14V9a5 5 0 0 1 10 0v5zM3 14h14M9 17h2",
  search: "M9 4a5 5 0 0 1 0 10A5 5 0 0 1 9 4M13 13l4 4",
  copies: "M4 4h9v9H4zM7 13v3h9V7h-3",
  more: "M5 10v0M10 10v0M15 10v0",
} as const;

export const VIEWS: readonly View[] = [
  { path: "/", name: msg`New video`, room: "Create", permission: "project:create", icon: "film" },
  { path: "/projects", below: "/studio/p/", name: msg`Projects`, room: "Create", permission: "project:read", icon: "folder" },
  { path: "/presenters", name: msg`Presenters`, room: "Create", permission: "persona:read", icon: "face" },
  { path: "/pronunciations", name: msg`Pronunciations`, room: "Create", permission: "project:read", icon: "speech" },
  { path: "/library", name: msg`Assets`, room: "Create", permission: "asset:read", icon: "picture" },
  { path: "/brands", name: msg`Brand kits`, room: "Create", permission: "brand:read", icon: "swatch" },
  { path: "/trash", name: msg`Trash`, room: "Create", permission: "project:read", icon: "bin" },
  { path: "/welcome", unlisted: true, name: msg`First steps`, room: "Create", permission: "first_run:read", icon: "check" },
  { path: "/chat", name: msg`Chat`, room: "Produce", permission: "chat:use", icon: "chat" },
  { path: "/videos", name: msg`Videos`, room: "Produce", permission: "render:read", icon: "video" },
  { path: "/queue", name: msg`Queue`, room: "Produce", permission: "render:read", icon: "queue" },
  { path: "/run/planned", name: msg`Planned`, room: "Produce", permission: "trigger:read", icon: "clock" },
  { path: "/talk", name: msg`Talk`, room: "Produce", permission: "chat:use", icon: "microphone" },
  { path: "/publications", name: msg`Publications`, room: "Produce", permission: "publication:read", icon: "send" },
  { path: "/snapshots", name: msg`Snapshots`, room: "Produce", permission: "snapshot:read", icon: "flag" },
  { path: "/run/approvals", name: msg`Approvals`, room: "Run", permission: "approval:read", icon: "check" },
  { path: "/run/machines", name: msg`Machines`, room: "Run", permission: "machine:read", icon: "server" },
  { path: "/run/health", name: msg`Health`, room: "Run", permission: "system:read", icon: "pulse" },
  { path: "/run/nodes", rare: true, name: msg`Nodes`, room: "Run", permission: "cluster:read", icon: "card" },
  { path: "/run/jobs", rare: true, name: msg`Jobs`, room: "Run", permission: "cluster:read", icon: "boxes" },
  { path: "/run/runs", rare: true, name: msg`Runs`, room: "Run", permission: "run:read", icon: "play" },
  { path: "/run/doctor", unlisted: true, name: msg`Doctor`, room: "Run", permission: "system:read", icon: "cross" },
  { path: "/run/log", rare: true, name: msg`Log`, room: "Run", permission: "event:read", icon: "lines" },
  { path: "/run/audit", rare: true, name: msg`Audit`, room: "Run", permission: "audit:read", icon: "book" },
  { path: "/run/keys", rare: true, name: msg`API keys`, room: "Run", permission: "key:read", icon: "key" },
  { path: "/run/policy", rare: true, name: msg`Policy test`, room: "Run", permission: "policy:test", icon: "scales" },
  { path: "/run/webhooks", rare: true, name: msg`Webhooks`, room: "Run", permission: "webhook:read", icon: "hook" },
  { path: "/run/storage", rare: true, name: msg`Storage`, room: "Run", permission: "storage:collect", icon: "disk" },
  { path: "/run/settings", rare: true, name: msg`Server settings`, room: "Run", permission: "setting:read", icon: "sliders" },
];

/** The view at an address; undefined where there is none. */
export const viewAt = (path: string): View | undefined =>
  VIEWS.find((one) => one.path === path || (one.below && path.startsWith(one.below))) ??
  VIEWS.find((one) => one.path !== "/" && path.startsWith(`${one.path}/`));
