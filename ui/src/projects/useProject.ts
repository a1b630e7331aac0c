/** A project, its scenes and the presenters: what is read, and the changes that are made to them. */
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type Project, type Scene, type SceneChange } from "../api/client";

export const projectKey = (id: string) => ["project", id];
export const scenesKey = (id: string) => ["scenes", id];

export function useProject(id: string) {
  return useQuery({
    queryKey: projectKey(id),
    queryFn: () => body(api.GET("/api/projects/{ref}", { params: { path: { ref: id } } })),
  });
}

export function useScenes(id: string) {
  return useQuery({
    queryKey: scenesKey(id),
    queryFn: () => body(api.GET("/api/projects/{ref}/scenes", { params: { path: { ref: id } } })),
  });
}

export interface Presenter {
  id: string;
  name: string;
  picture: string | undefined;
}

/** The presenters that can be used, by name. */
export function usePresenters() {
  return useQuery({
    queryKey: ["personas"],
    queryFn: async () => {
      const entries = (await body(api.GET("/api/personas"))) ?? [];
      return entries
        .flatMap(({ persona, imageUrl }): Presenter[] =>
          persona ? [{ id: persona.id, name: persona.name, picture: imageUrl ?? undefined }] : [],
        )
        .sort((one, other) => one.name.localeCompare(other.name));
    },
    staleTime: Infinity,
  });
}

/**
 * The calls that change a project. Each returns what the server has then.
 *
 * A deleted scene that is taken back has another id; `current` leads from an id of before to the one of now.
 */
export class ProjectCalls {
  private readonly renamed = new Map<string, string>();

  constructor(
    private readonly queries: QueryClient,
    readonly id: string,
  ) {}

  current(sceneId: string): string {
    const next = this.renamed.get(sceneId);
    return next ? this.current(next) : sceneId;
  }

  async change(fields: Partial<Pick<Project, "title" | "persona" | "canvas">>): Promise<Project> {
    const changed = await body(api.PATCH("/api/projects/{ref}", { params: { path: { ref: this.id } }, body: fields }));
    this.queries.setQueryData(projectKey(this.id), changed);
    return changed;
  }

  /** `instead` of a scene that is gone. */
  async addScene(fields: SceneChange, instead = ""): Promise<Scene> {
    const added = await body(
      api.POST("/api/projects/{ref}/scenes", { params: { path: { ref: this.id } }, body: fields as Scene }),
    );
    if (instead) this.renamed.set(this.current(instead), added.id);
    await this.refresh();
    return added;
  }

  async changeScene(sceneId: string, fields: SceneChange): Promise<Scene> {
    const path = { ref: this.id, scene_id: this.current(sceneId) };
    const changed = await body(api.PATCH("/api/projects/{ref}/scenes/{scene_id}", { params: { path }, body: fields as Scene }));
    this.queries.setQueryData(scenesKey(this.id), (scenes: Scene[] | undefined) =>
      scenes?.map((one) => (one.id === changed.id ? changed : one)),
    );
    // A list that is on its way may have been read before.
    void this.refresh();
    return changed;
  }

  /** What the server has now. */
  async readScene(sceneId: string): Promise<Scene> {
    const path = { ref: this.id, scene_id: this.current(sceneId) };
    return body(api.GET("/api/projects/{ref}/scenes/{scene_id}", { params: { path } }));
  }

  async deleteScene(sceneId: string): Promise<void> {
    const path = { ref: this.id, scene_id: this.current(sceneId) };
    await api.DELETE("/api/projects/{ref}/scenes/{scene_id}", { params: { path } });
    await this.refresh();
  }

  async order(scenes: string[]): Promise<void> {
    const params = { path: { ref: this.id } };
    await api.PUT("/api/projects/{ref}/scenes/order", {
      params,
      body: { scenes: scenes.map((one) => this.current(one)) },
    });
    await this.refresh();
  }

  private async refresh(): Promise<void> {
    await this.queries.invalidateQueries({ queryKey: scenesKey(this.id) });
  }
}

export function useProjectCalls(id: string): ProjectCalls {
  const queries = useQueryClient();
  return useState(() => new ProjectCalls(queries, id))[0];
}
