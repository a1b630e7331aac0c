/** The addresses of the page. Each view is a file of its own, fetched when it is first opened or pointed at. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Frame } from "./Frame";
import { NoSuchView, ViewProblem } from "./NoView";
import { presentAddress } from "./rooms";

const root = createRootRoute({ component: Frame, notFoundComponent: NoSuchView });
const parent = () => root;

const lists = () => import("../lists/ListViews");
const farm = () => import("../farm/FarmViews");

const create = createRoute({
  getParentRoute: parent,
  path: "/",
  validateSearch: ({ presenter }: Record<string, unknown>): { presenter?: string } =>
    typeof presenter === "string" ? { presenter } : {},
  component: lazyRouteComponent(() => import("../create/CreateView"), "CreateView"),
});
const projects = createRoute({
  getParentRoute: parent,
  path: "/projects",
  component: lazyRouteComponent(() => import("../create/ProjectsView"), "ProjectsView"),
});
const editor = createRoute({
  getParentRoute: parent,
  path: "/studio/p/$slug",
  // Another one is another view: what was typed for it is not shown for the next.
  remountDeps: ({ params }) => params,
  component: lazyRouteComponent(() => import("../create/EditorView"), "EditorView"),
});
const presenters = createRoute({
  getParentRoute: parent,
  path: "/presenters",
  component: lazyRouteComponent(() => import("../create/PresentersView"), "PresentersView"),
});
const pronunciations = createRoute({
  getParentRoute: parent,
  path: "/pronunciations",
  component: lazyRouteComponent(() => import("../voices/PronunciationsView"), "PronunciationsView"),
});
const library = createRoute({ getParentRoute: parent, path: "/library", component: lazyRouteComponent(lists, "AssetsView") });
const videosView = lazyRouteComponent(() => import("../videos/VideosView"), "VideosView");
const chat = createRoute({ getParentRoute: parent, path: "/chat", component: videosView });
// Without a view of its own: the wall stays as it is behind the one that is watched.
const videos = createRoute({ getParentRoute: parent, path: "/videos", component: videosView });
const video = createRoute({ getParentRoute: () => videos, path: "$id" });
const talk = createRoute({
  getParentRoute: parent,
  path: "/talk",
  component: lazyRouteComponent(() => import("../talk/TalkView"), "TalkView"),
});
const publications = createRoute({
  getParentRoute: parent,
  path: "/publications",
  component: lazyRouteComponent(lists, "PublicationsView"),
});
const snapshots = createRoute({
  getParentRoute: parent,
  path: "/snapshots",
  component: lazyRouteComponent(() => import("../snapshots/SnapshotsView"), "SnapshotsView"),
});
const approvals = createRoute({
  getParentRoute: parent,
  path: "/run/approvals",
  component: lazyRouteComponent(() => import("../approvals/ApprovalsView"), "ApprovalsView"),
});
const approval = createRoute({ getParentRoute: () => approvals, path: "$id" });
const planned = createRoute({
  getParentRoute: parent,
  path: "/run/planned",
  component: lazyRouteComponent(() => import("../triggers/TriggersView"), "TriggersView"),
});
const machines = createRoute({
  getParentRoute: parent,
  path: "/run/machines",
  component: lazyRouteComponent(farm, "MachinesView"),
});
const runs = createRoute({ getParentRoute: parent, path: "/run/runs", component: lazyRouteComponent(farm, "RunsView") });
const health = createRoute({
  getParentRoute: parent,
  path: "/run/health",
  component: lazyRouteComponent(() => import("../health/HealthView"), "HealthView"),
});
const log = createRoute({
  getParentRoute: parent,
  path: "/run/log",
  component: lazyRouteComponent(() => import("../log/LogView"), "LogView"),
});
const trace = createRoute({
  getParentRoute: parent,
  path: "/run/log/$id",
  remountDeps: ({ params }) => params,
  component: lazyRouteComponent(() => import("../log/TraceView"), "TraceView"),
});
const audit = createRoute({ getParentRoute: parent, path: "/run/audit", component: lazyRouteComponent(lists, "AuditView") });
const keys = createRoute({ getParentRoute: parent, path: "/run/keys", component: lazyRouteComponent(lists, "KeysView") });

const routeTree = root.addChildren([
  create,
  projects,
  editor,
  presenters,
  pronunciations,
  library,
  chat,
  videos.addChildren([video]),
  talk,
  publications,
  snapshots,
  approvals.addChildren([approval]),
  planned,
  machines,
  runs,
  health,
  log,
  trace,
  audit,
  keys,
]);

// The development server of Vite keeps the page below the address of its files.
const BASE = import.meta.env.DEV ? "/page" : "";

// Bookmarks and notes hold former addresses.
const former = presentAddress(location.hash);
if (former) history.replaceState(null, "", BASE + former);

export const router = createRouter({
  routeTree,
  basepath: BASE || "/",
  defaultPreload: "intent",
  defaultPendingMs: 300,
  defaultPendingComponent: () => <p className="pending">One moment</p>,
  defaultErrorComponent: ViewProblem,
});

addEventListener("hashchange", () => {
  const present = presentAddress(location.hash);
  if (present) router.history.replace(BASE + present);
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
