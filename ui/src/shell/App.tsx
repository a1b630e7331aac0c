/** The frame of the page: who is there, where one can go, the conversation beside the chosen view. */
import { lazy, Suspense, useEffect, useState } from "react";
import { api, type Me } from "../api/client";
import type { Problem } from "../api/problem";
import { ApprovalsView } from "../approvals/ApprovalsView";
import { useApprovals } from "../approvals/useApprovals";
import { ChatPane } from "../chat/ChatPane";
import { useHealth } from "../health/useHealth";
import { ErrorNotice } from "../kit/kit";
import { Boundary } from "../kit/Uncaught";
import { LiveProvider, useLive } from "../live/Live";
import { useCall } from "../talk/call";
import { VideosView } from "../videos/VideosView";
import { Login } from "./Login";
import { useMe } from "./me";
import { useRoute } from "./route";

// Views that are fetched when they are first opened.
const CreateView = lazy(async () => ({ default: (await import("../create/CreateView")).CreateView }));
const EditorView = lazy(async () => ({ default: (await import("../create/EditorView")).EditorView }));
const ProjectsView = lazy(async () => ({ default: (await import("../create/ProjectsView")).ProjectsView }));
const PresentersView = lazy(async () => ({ default: (await import("../create/PresentersView")).PresentersView }));
const PronunciationsView = lazy(async () => ({
  default: (await import("../voices/PronunciationsView")).PronunciationsView,
}));
const TalkView = lazy(async () => ({ default: (await import("../talk/TalkView")).TalkView }));
const MachinesView = lazy(async () => ({ default: (await import("../farm/FarmViews")).MachinesView }));
const RunsView = lazy(async () => ({ default: (await import("../farm/FarmViews")).RunsView }));
const HealthView = lazy(async () => ({ default: (await import("../health/HealthView")).HealthView }));
const LogView = lazy(async () => ({ default: (await import("../log/LogView")).LogView }));
const TraceView = lazy(async () => ({ default: (await import("../log/TraceView")).TraceView }));
const SnapshotsView = lazy(async () => ({ default: (await import("../snapshots/SnapshotsView")).SnapshotsView }));
const TriggersView = lazy(async () => ({ default: (await import("../triggers/TriggersView")).TriggersView }));
const AssetsView = lazy(async () => ({ default: (await import("../lists/ListViews")).AssetsView }));
const PublicationsView = lazy(async () => ({ default: (await import("../lists/ListViews")).PublicationsView }));
const KeysView = lazy(async () => ({ default: (await import("../lists/ListViews")).KeysView }));
const AuditView = lazy(async () => ({ default: (await import("../lists/ListViews")).AuditView }));

type Tab = [view: string, name: string, permission: string];
/** The rail: three rooms, each with its views. */
const ROOMS: [room: string, tabs: Tab[]][] = [
  [
    "Create",
    [
      ["create", "New film", "project:create"],
      ["projects", "Projects", "project:read"],
      ["presenters", "Presenters", "persona:read"],
      ["pronunciations", "Pronunciations", "project:read"],
    ],
  ],
  [
    "Produce",
    [
      ["chat", "Chat", "chat:use"],
      ["talk", "Talk", "chat:use"],
      ["videos", "Videos", "render:read"],
      ["publications", "Publications", "publication:read"],
      ["assets", "Assets", "asset:read"],
      ["approvals", "Approvals", "approval:read"],
      ["planned", "Planned", "trigger:read"],
      ["snapshots", "Snapshots", "snapshot:read"],
    ],
  ],
  [
    "Run",
    [
      ["machines", "Machines", "machine:read"],
      ["runs", "Runs", "run:read"],
      ["health", "Health", "system:read"],
      ["log", "Log", "event:read"],
      ["audit", "Audit", "audit:read"],
      ["keys", "Keys", "key:read"],
    ],
  ],
];
const TABS: Tab[] = ROOMS.flatMap(([, tabs]) => tabs);
const roomOf = (view: string) => ROOMS.find(([, tabs]) => tabs.some(([tab]) => tab === view))?.[0] ?? "";

export function App() {
  const me = useMe();
  if (me.error && (me.error as unknown as Problem).status === 401) return <Login />;
  if (me.data)
    return (
      <LiveProvider principal={me.data.id}>
        <MainView me={me.data} />
      </LiveProvider>
    );
  return <main className="login">{me.error ? <ErrorNotice error={me.error} /> : <p className="quiet">One moment</p>}</main>;
}

function MainView({ me }: { me: Me }) {
  const [route, id] = useRoute();
  const { serverReachable } = useLive();
  const may = (permission: string) => me.permissions.includes(permission);
  const view = TABS.some(([name]) => name === route) ? route : may("chat:use") ? "chat" : "videos";
  const shown = view === "chat" ? "videos" : view;
  const isCalling = useCall().phase !== "off";
  const waiting = useApprovals(may("approval:read")).data?.filter((one) => one.state === "pending").length ?? 0;
  const unwell = useHealth(may("system:read")).data?.checks.filter((one) => one.level !== "green").length ?? 0;
  const name = TABS.find(([tab]) => tab === view)?.[1];
  useEffect(() => {
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    if (!id || view !== "projects") document.title = view === "chat" ? "Soundstage" : `${name} · Soundstage`;
  }, [view, name, id]);

  return (
    <div className="app">
      <header className="bar">
        {/* biome-ignore lint/a11y/useValidAnchor: it leads there, and the field takes the keyboard */}
        <a className="skip" href="#/chat" onClick={() => document.getElementById("utterance")?.focus()}>
          Skip to the sentence
        </a>
        <a className="brand" href="#/chat">
          <img src="/page/icon.svg" alt="" width="26" height="26" />
          Soundstage
        </a>
        <nav aria-label="Views">
          <div className="tabs">
            {ROOMS.map(([room, tabs]) => {
              const shownTabs = tabs.filter(([, , permission]) => may(permission));
              if (shownTabs.length === 0) return null;
              return (
                <div key={room} className="room">
                  <span className="room-name">{room}</span>
                  {shownTabs.map(([tab, words]) => (
                    <a
                      key={tab}
                      href={`#/${tab}`}
                      className={tab === "chat" ? "only-narrow" : undefined}
                      aria-current={
                        tab === view || (view === "chat" && tab === "videos" && innerWidth > 960) ? "page" : undefined
                      }
                    >
                      {words}
                      {tab === "talk" && isCalling && <span className="chip live">On</span>}
                      {tab === "approvals" && waiting > 0 && <Count of={waiting} words="waiting" />}
                      {tab === "health" && unwell > 0 && <Count of={unwell} words="not well" />}
                    </a>
                  ))}
                </div>
              );
            })}
          </div>
        </nav>
        <span className={serverReachable ? "line" : "line lost"}>{serverReachable ? "Live" : "No connection"}</span>
        <Theme />
        {me.kind === "session" && (
          <button type="button" className="plain" onClick={() => void leave()}>
            Log out
          </button>
        )}
      </header>
      {!serverReachable && (
        <p className="banner" role="status">
          The server does not answer. What you see may be old; the page goes on by itself as soon as it is back.
        </p>
      )}
      <main className="panes" data-view={view} data-room={roomOf(view)}>
        {may("chat:use") && <ChatPane />}
        <section className="view" aria-label={TABS.find(([tab]) => tab === shown)?.[1]}>
          <Boundary key={shown}>
            <Suspense fallback={<p className="empty">One moment</p>}>
              {shown === "create" && <CreateView key={id} me={me} presenter={id} />}
              {shown === "projects" && (id ? <EditorView key={id} id={id} me={me} /> : <ProjectsView me={me} />)}
              {shown === "presenters" && <PresentersView me={me} />}
              {shown === "pronunciations" && <PronunciationsView me={me} />}
              {shown === "talk" && <TalkView />}
              {shown === "videos" && <VideosView id={id} me={me} />}
              {shown === "approvals" && <ApprovalsView id={id} me={me} />}
              {shown === "planned" && <TriggersView mayCancel={may("trigger:cancel")} />}
              {shown === "snapshots" && <SnapshotsView />}
              {shown === "machines" && <MachinesView me={me} />}
              {shown === "runs" && <RunsView />}
              {shown === "assets" && <AssetsView />}
              {shown === "publications" && <PublicationsView />}
              {shown === "keys" && <KeysView />}
              {shown === "audit" && <AuditView />}
              {shown === "health" && <HealthView />}
              {shown === "log" && (id ? <TraceView key={id} id={id} me={me} /> : <LogView me={me} />)}
            </Suspense>
          </Boundary>
        </section>
      </main>
    </div>
  );
}

function Count({ of, words }: { of: number; words: string }) {
  return (
    <span className="count">
      {of}
      <span className="visually-hidden"> {words}</span>
    </span>
  );
}

async function leave(): Promise<void> {
  await api.POST("/api/logout");
  sessionStorage.clear();
  location.assign("/");
}

const THEME = "soundstage.theme";

/** Kept only when it differs from the system's. */
function Theme() {
  const [theme, choose] = useState(() => localStorage.getItem(THEME) ?? "system");
  useEffect(() => {
    if (theme === "system") {
      localStorage.removeItem(THEME);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(THEME, theme);
      document.documentElement.dataset.theme = theme;
    }
  }, [theme]);
  return (
    <select aria-label="Colours" value={theme} onChange={(event) => choose(event.target.value)}>
      <option value="system">System</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}
