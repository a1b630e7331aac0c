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

const lists = () => import("../lists/ListViews");
const farm = () => import("../farm/FarmViews");

const create = createRoute({
  getParentRoute: parent,
  path: "/",
  validateSearch: ({ presenter }: Record<string, unknown>): { presenter?: string } =>
    typeof presenter === "string" ? { presenter } : {},
  component: viewOf(() => import("../create/CreateView"), "CreateView"),
});
const projects = createRoute({
  getParentRoute: parent,
  path: "/projects",
  component: viewOf(() => import("../create/ProjectsView"), "ProjectsView"),
});
const editor = createRoute({
  getParentRoute: parent,
  path: "/studio/p/$slug",
  // Another one is another view: what was typed for it is not shown for the next.
  remountDeps: ({ params }) => params,
  component: viewOf(() => import("../create/EditorView"), "EditorView"),
});
const presenters = createRoute({
  getParentRoute: parent,
  path: "/presenters",
  component: viewOf(() => import("../create/PresentersView"), "PresentersView"),
});
const pronunciations = createRoute({
  getParentRoute: parent,
  path: "/pronunciations",
  component: viewOf(() => import("../voices/PronunciationsView"), "PronunciationsView"),
});
const library = createRoute({
  getParentRoute: parent,
  path: "/library",
  component: viewOf(() => import("../create/AssetsView"), "AssetsView"),
});
const brands = createRoute({
  getParentRoute: parent,
  path: "/brands",
  component: viewOf(() => import("../create/BrandsView"), "BrandsView"),
});
const trash = createRoute({
  getParentRoute: parent,
  path: "/trash",
  component: viewOf(() => import("../lists/TrashView"), "TrashView"),
});
const welcome = createRoute({
  getParentRoute: parent,
  path: "/welcome",
  component: viewOf(() => import("../settings/WelcomeView"), "WelcomeView"),
});
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
const queue = createRoute({
  getParentRoute: parent,
  path: "/queue",
  component: viewOf(() => import("../queue/QueueView"), "QueueView"),
});
const talk = createRoute({
  getParentRoute: parent,
  path: "/talk",
  component: viewOf(() => import("../talk/TalkView"), "TalkView"),
});
const publications = createRoute({
  getParentRoute: parent,
  path: "/publications",
  component: viewOf(lists, "PublicationsView"),
});
const snapshots = createRoute({
  getParentRoute: parent,
  path: "/snapshots",
  component: viewOf(() => import("../snapshots/SnapshotsView"), "SnapshotsView"),
});
const approvals = createRoute({
  getParentRoute: parent,
  path: "/run/approvals",
  component: viewOf(() => import("../approvals/ApprovalsView"), "ApprovalsView"),
});
const approval = createRoute({ getParentRoute: () => approvals, path: "$id" });
const planned = createRoute({
  getParentRoute: parent,
  path: "/run/planned",
  component: viewOf(() => import("../triggers/TriggersView"), "TriggersView"),
});
const machines = createRoute({
  getParentRoute: parent,
  path: "/run/machines",
  component: viewOf(farm, "MachinesView"),
});
const nodesView = viewOf(() => import("../farm/NodesView"), "NodesView");
const nodes = createRoute({ getParentRoute: parent, path: "/run/nodes", component: nodesView });
const node = createRoute({ getParentRoute: () => nodes, path: "$id" });
const jobsView = viewOf(() => import("../farm/JobsView"), "JobsView");
const jobs = createRoute({ getParentRoute: parent, path: "/run/jobs", component: jobsView });
const job = createRoute({ getParentRoute: () => jobs, path: "$id" });
const runs = createRoute({ getParentRoute: parent, path: "/run/runs", component: viewOf(farm, "RunsView") });
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
const health = createRoute({
  getParentRoute: parent,
  path: "/run/health",
  component: viewOf(() => import("../health/HealthView"), "HealthView"),
});
const doctor = createRoute({
  getParentRoute: parent,
  path: "/run/doctor",
  component: viewOf(() => import("../settings/DoctorView"), "DoctorView"),
});
const settings = createRoute({
  getParentRoute: parent,
  path: "/run/settings",
  validateSearch: ({ q }: Record<string, unknown>): { q?: string } => (typeof q === "string" ? { q } : {}),
  component: viewOf(() => import("../settings/SettingsView"), "SettingsView"),
});
const log = createRoute({
  getParentRoute: parent,
  path: "/run/log",
  component: viewOf(() => import("../log/LogView"), "LogView"),
});
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
const keys = createRoute({
  getParentRoute: parent,
  path: "/run/keys",
  component: viewOf(() => import("../lists/KeysView"), "KeysView"),
});
const policy = createRoute({
  getParentRoute: parent,
  path: "/run/policy",
  component: viewOf(() => import("../lists/PolicyView"), "PolicyView"),
});
const webhooks = createRoute({
  getParentRoute: parent,
  path: "/run/webhooks",
  component: viewOf(() => import("../lists/WebhooksView"), "WebhooksView"),
});
const storage = createRoute({
  getParentRoute: parent,
  path: "/run/storage",
  component: viewOf(() => import("../lists/StorageView"), "StorageView"),
});

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
