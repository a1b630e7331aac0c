/** The frame of the page: who is there, where one can go, the conversation beside the chosen view. */
import { lazy, Suspense, useEffect, useState } from "react";
import { api, type Me } from "../api/client";
import type { Problem } from "../api/problem";
import { ApprovalsView } from "../approvals/ApprovalsView";
import { useApprovals } from "../approvals/useApprovals";
import { ChatPane } from "../chat/ChatPane";
import { MachinesView, RunsView } from "../farm/FarmViews";
import { HealthView } from "../health/HealthView";
import { useHealth } from "../health/useHealth";
import { ErrorNotice } from "../kit/kit";
import { Boundary } from "../kit/Uncaught";
import { LiveProvider, useLive } from "../live/Live";
import { LogView } from "../log/LogView";
import { TraceView } from "../log/TraceView";
import { SnapshotsView } from "../snapshots/SnapshotsView";
import { TriggersView } from "../triggers/TriggersView";
import { VideosView } from "../videos/VideosView";
import { Login } from "./Login";
import { useMe } from "./me";
import { useRoute } from "./route";

const ProjectsView = lazy(() => import("../projects/ProjectsView"));
const TABS: [view: string, name: string, permission: string][] = [
  ["talk", "Talk", "chat:use"],
  ["videos", "Videos", "render:read"],
  ["projects", "Projects", "project:read"],
  ["approvals", "Approvals", "approval:read"],
  ["planned", "Planned", "trigger:read"],
  ["snapshots", "Snapshots", "snapshot:read"],
  ["machines", "Machines", "machine:read"],
  ["runs", "Runs", "run:read"],
  ["health", "Health", "system:read"],
  ["log", "Log", "event:read"],
];

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
  const view = TABS.some(([name]) => name === route) ? route : may("chat:use") ? "talk" : "videos";
  const shown = view === "talk" ? "videos" : view;
  const waiting = useApprovals(may("approval:read")).data?.filter((one) => one.state === "pending").length ?? 0;
  const unwell = useHealth(may("system:read")).data?.checks.filter((one) => one.level !== "green").length ?? 0;
  const name = TABS.find(([tab]) => tab === view)?.[1];
  useEffect(() => {
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    document.title = view === "talk" ? "Soundstage" : `${name} · Soundstage`;
  }, [view, name]);

  return (
    <div className="app">
      <header className="bar">
        {/* biome-ignore lint/a11y/useValidAnchor: it leads there, and the field takes the keyboard */}
        <a className="skip" href="#/talk" onClick={() => document.getElementById("utterance")?.focus()}>
          Skip to the sentence
        </a>
        <a className="brand" href="#/talk">
          <img src="/page/icon.svg" alt="" width="26" height="26" />
          Soundstage
        </a>
        <nav aria-label="Views">
          <div className="tabs">
            {TABS.filter(([, , permission]) => may(permission)).map(([tab, words]) => (
              <a
                key={tab}
                href={`#/${tab}`}
                className={tab === "talk" ? "only-narrow" : undefined}
                aria-current={tab === view || (view === "talk" && tab === "videos" && innerWidth > 960) ? "page" : undefined}
              >
                {words}
                {tab === "approvals" && waiting > 0 && (
                  <span className="count">
                    {waiting}
                    <span className="visually-hidden"> waiting</span>
                  </span>
                )}
                {tab === "health" && unwell > 0 && (
                  <span className="count">
                    {unwell}
                    <span className="visually-hidden"> not well</span>
                  </span>
                )}
              </a>
            ))}
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
      <main className="panes" data-view={view}>
        {may("chat:use") && <ChatPane />}
        <section className="view" aria-label={TABS.find(([tab]) => tab === shown)?.[1]}>
          <Boundary key={shown}>
            {shown === "videos" && <VideosView id={id} me={me} />}
            {shown === "projects" && (
              <Suspense fallback={<p className="empty">One moment</p>}>
                <ProjectsView id={id} me={me} />
              </Suspense>
            )}
            {shown === "approvals" && <ApprovalsView id={id} me={me} />}
            {shown === "planned" && <TriggersView mayCancel={may("trigger:cancel")} />}
            {shown === "snapshots" && <SnapshotsView />}
            {shown === "machines" && <MachinesView me={me} />}
            {shown === "runs" && <RunsView />}
            {shown === "health" && <HealthView />}
            {shown === "log" && (id ? <TraceView key={id} id={id} me={me} /> : <LogView me={me} />)}
          </Boundary>
        </section>
      </main>
    </div>
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
