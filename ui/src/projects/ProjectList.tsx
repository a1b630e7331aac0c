/** All projects, the last changed first. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type Me } from "../api/client";
import { ErrorNotice, NoRows } from "../kit/kit";
import { useSettled } from "../kit/useSettled";
import { when } from "../videos/words";
import { usePresenters } from "./useProject";

export function ProjectList({ me }: { me: Me }) {
  const [words, setWords] = useState("");
  const search = useSettled(words.trim());
  const presenters = usePresenters();
  const projects = useQuery({
    queryKey: ["projects", search],
    queryFn: () => body(api.GET("/api/projects", { params: { query: search ? { q: search } : {} } })),
    placeholderData: (before) => before,
  });
  const create = useMutation({
    mutationFn: async () => {
      const project = await body(api.POST("/api/projects", { body: { title: "Untitled project" } as never }));
      await api.POST("/api/projects/{ref}/scenes", { params: { path: { ref: project.id } }, body: {} as never });
      return project;
    },
    onSuccess: (project) => location.assign(`#/projects/${project.id}`),
  });
  const rows = projects.data;
  return (
    <div className="stack">
      <div className="row apart">
        <h1>Projects</h1>
        <div className="row">
          {((rows?.length ?? 0) > 0 || words !== "") && (
            <input
              type="search"
              aria-label="Search projects"
              placeholder="Search"
              maxLength={200}
              value={words}
              onChange={(event) => setWords(event.target.value)}
            />
          )}
          {me.permissions.includes("project:create") && (
            <button type="button" className="primary" onClick={() => create.mutate()} disabled={create.isPending}>
              New project
            </button>
          )}
        </div>
      </div>
      {create.error && <ErrorNotice error={create.error} />}
      <NoRows of={{ data: rows, error: projects.error }}>
        {search
          ? `No project has “${search}” in its title.`
          : "Nothing here yet. A project holds the scenes of a video, to be edited at any time."}
      </NoRows>
      <ul className="grid project-tiles">
        {rows?.map((one) => {
          const picture = presenters.data?.find((face) => face.id === one.persona)?.picture;
          return (
            <li key={one.id}>
              <a className="tile" href={`#/projects/${one.id}`}>
                <span className="picture">
                  {picture ? <img src={picture} alt="" loading="lazy" decoding="async" /> : <span />}
                </span>
                <span className="words">
                  <span className="title">{one.title}</span>
                  <span className="quiet">{when(one.updated_at)}</span>
                </span>
              </a>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
