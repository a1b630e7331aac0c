/** The addresses of the page. Each view is a file of its own, fetched when it is first opened or pointed at. */

import { t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { type AsyncRouteComponent, createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { fetchPart } from "../kit/part";
import type { AuditSearch } from "../lists/AuditView";
import type { Facets } from "../videos/useRenders";
import { Frame } from "./Frame";
import { NoSuchView, ViewProblem } from "./NoView";

/** A view that is drawn anew in another language. */
function viewOf<Name extends string>(load: () => Promise<Record<Name, () => ReactNode>>, name: Name) {
  const View: AsyncRouteComponent<object> = lazyRouteComponent(() => fetchPart(load), name);
  const Translated = () => {
    useLingui();
    return <View />;
  };
  Translated.preload = View.preload;
  return Translated;
}

const root = createRootRoute({ component: Frame, notFoundComponent: NoSuchView });
const parent = () => root;

/** A view at an address of its own. */
const view = <const Path extends string, Name extends string>(
  path: Path,
  load: () => Promise<Record<Name, () => ReactNode>>,
  name: Name,
) => createRoute({ getParentRoute: parent, path, component: viewOf(load, name) });

const lists = () => import("../lists/ListViews");
const farm = () => import("../farm/FarmViews");

const create = createRoute({
  getParentRoute: parent,
  path: "/",
  validateSearch: ({ presenter }: Record<string, unknown>): { presenter?: string } =>
    typeof presenter === "string" ? { presenter } : {},
  component: viewOf(() => import("../create/CreateView"), "CreateView"),
});
const projects = view("/projects", () => import("../create/ProjectsView"), "ProjectsView");
const editor = createRoute({
  getParentRoute: parent,
  path: "/studio/p/$slug",
  // Another one is another view: what was typed for it is not shown for the next.
  remountDeps: ({ params }) => params,
  component: viewOf(() => import("../create/EditorView"), "EditorView"),
});
const presenters = view("/presenters", () => import("../create/PresentersView"), "PresentersView");
const pronunciations = view("/pronunciations", () => import("../voices/PronunciationsView"), "PronunciationsView");
const library = view("/library", () => import("../create/AssetsView"), "AssetsView");
const brands = view("/brands", () => import("../create/BrandsView"), "BrandsView");
const trash = view("/trash", () => import("../lists/TrashView"), "TrashView");
const welcome = view("/welcome", () => import("../settings/WelcomeView"), "WelcomeView");
const videosView = viewOf(() => import("../videos/VideosView"), "VideosView");
const chat = createRoute({ getParentRoute: parent, path: "/chat", component: videosView });
// Without a view of its own: the wall stays as it is behind the one that is watched.
const videos = createRoute({
  getParentRoute: parent,
  path: "/videos",
  validateSearch: (search: Record<string, unknown>): Facets => search,
  component: videosView,
});
const video = createRoute({
  getParentRoute: () => videos,
  path: "$id",
  /** Seconds from the start of the film. */
  validateSearch: ({ t }: Record<string, unknown>): { t?: number } => (typeof t === "number" && t > 0 ? { t } : {}),
});
const queue = view("/queue", () => import("../queue/QueueView"), "QueueView");
const talk = view("/talk", () => import("../talk/TalkView"), "TalkView");
const publications = view("/publications", lists, "PublicationsView");
const snapshots = view("/snapshots", () => import("../snapshots/SnapshotsView"), "SnapshotsView");
const approvals = view("/run/approvals", () => import("../approvals/ApprovalsView"), "ApprovalsView");
const approval = createRoute({ getParentRoute: () => approvals, path: "$id" });
const planned = view("/run/planned", () => import("../triggers/TriggersView"), "TriggersView");
const machines = view("/run/machines", farm, "MachinesView");
const nodesView = viewOf(() => import("../farm/NodesView"), "NodesView");
const nodes = createRoute({ getParentRoute: parent, path: "/run/nodes", component: nodesView });
const node = createRoute({ getParentRoute: () => nodes, path: "$id" });
const jobsView = viewOf(() => import("../farm/JobsView"), "JobsView");
const jobs = createRoute({ getParentRoute: parent, path: "/run/jobs", component: jobsView });
const job = createRoute({ getParentRoute: () => jobs, path: "$id" });
const runs = view("/run/runs", farm, "RunsView");
const machine = createRoute({
  getParentRoute: parent,
  path: "/run/machines/$name",
  remountDeps: ({ params }) => params,
  component: viewOf(() => import("../farm/MachineView"), "MachineView"),
});
const run = createRoute({
  getParentRoute: parent,
  path: "/run/runs/$id",
  remountDeps: ({ params }) => params,
  component: viewOf(() => import("../farm/RunView"), "RunView"),
});
const health = view("/run/health", () => import("../health/HealthView"), "HealthView");
const doctor = view("/run/doctor", () => import("../settings/DoctorView"), "DoctorView");
const settings = createRoute({
  getParentRoute: parent,
  path: "/run/settings",
  validateSearch: ({ q }: Record<string, unknown>): { q?: string } => (typeof q === "string" ? { q } : {}),
  component: viewOf(() => import("../settings/SettingsView"), "SettingsView"),
});
const log = view("/run/log", () => import("../log/LogView"), "LogView");
const trace = createRoute({
  getParentRoute: parent,
  path: "/run/log/$id",
  remountDeps: ({ params }) => params,
  component: viewOf(() => import("../log/TraceView"), "TraceView"),
});
const audit = createRoute({
  getParentRoute: parent,
  path: "/run/audit",
  validateSearch: ({ kind, actor, about }: Record<string, unknown>): AuditSearch => ({
    ...(kind ? { kind: String(kind) } : {}),
    ...(actor ? { actor: String(actor) } : {}),
    ...(about ? { about: String(about) } : {}),
  }),
  component: viewOf(() => import("../lists/AuditView"), "AuditView"),
});
const keys = view("/run/keys", () => import("../lists/KeysView"), "KeysView");
const policy = view("/run/policy", () => import("../lists/PolicyView"), "PolicyView");
const webhooks = view("/run/webhooks", () => import("../lists/WebhooksView"), "WebhooksView");
const storage = view("/run/storage", () => import("../lists/StorageView"), "StorageView");

const routeTree = root.addChildren([
  create,
  projects,
  editor,
  presenters,
  pronunciations,
  library,
  brands,
  trash,
  welcome,
  chat,
  videos.addChildren([video]),
  queue,
  talk,
  publications,
  snapshots,
  approvals.addChildren([approval]),
  planned,
  machines,
  machine,
  nodes.addChildren([node]),
  jobs.addChildren([job]),
  runs,
  run,
  health,
  doctor,
  log,
  trace,
  audit,
  keys,
  policy,
  webhooks,
  storage,
  settings,
]);

// The development server of Vite keeps the page below the address of its files.
const BASE = import.meta.env.DEV ? "/page" : "";

export const router = createRouter({
  routeTree,
  basepath: BASE || "/",
  defaultPreload: "intent",
  defaultPendingMs: 300,
  defaultPendingComponent: () => <p className="pending">{t`One moment`}</p>,
  defaultErrorComponent: ViewProblem,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
