/** Brings the server from one state of a project to the next with the fewest calls, one after the other. */
import { t } from "@lingui/core/macro";
import { api, body, type Scene } from "../api/client";
import { Problem } from "../api/problem";
import type { Doc, SceneBody, SceneDoc } from "./document";

/** Somebody else has changed a scene since this page read it. */
export class SceneConflict extends Error {
  constructor(
    readonly key: string,
    readonly theirs: Scene,
  ) {
    super("changed elsewhere");
  }
}

const CONFLICT = "scene.changed";

export class Saver {
  private ids = new Map<string, string>();
  private versions = new Map<string, string>();
  private order: string[];

  constructor(
    private readonly ref: string,
    scenes: readonly Scene[],
  ) {
    this.order = scenes.map((scene) => scene.id);
    for (const scene of scenes) this.read(scene.id, scene);
  }

  /** The server's id of a scene; undefined while it is not saved. */
  id = (key: string) => this.ids.get(key);

  /** Takes over that the server has this of a scene. */
  read(key: string, scene: Scene): void {
    this.ids.set(key, scene.id);
    this.versions.set(key, scene.updated_at);
  }

  /** What a scene of the server is called here. */
  keyOf = (id: string) => [...this.ids].find(([, other]) => other === id)?.[0] ?? id;

  /** Takes over the order that the server has. */
  setOrder(ids: string[]): void {
    this.order = ids;
  }

  updatedAt = (key: string) => this.versions.get(key);

  /** When each saved scene was changed last, by its id. */
  versionsById = (): Record<string, string> =>
    Object.fromEntries([...this.ids].map(([key, id]) => [id, this.versions.get(key) ?? ""]));

  /** Takes over versions that an earlier visit has read: who has changed a scene since is not written over. */
  restore(versions: Record<string, string>): void {
    for (const [key, id] of this.ids) {
      const version = versions[id];
      if (version) this.versions.set(key, version);
    }
  }

  /** Returns what is saved now. Raises `SceneConflict`; what was saved before it is passed to `saved`. */
  async push(from: Doc, to: Doc, saved: (doc: Doc) => void): Promise<void> {
    let done = from;
    const step = (next: Doc) => {
      done = next;
      saved(done);
    };
    await this.pushProject(from, to);
    step({ ...to, scenes: done.scenes });
    const target = new Set(to.scenes.map((scene) => scene.key));
    for (const scene of from.scenes.filter((one) => !target.has(one.key))) {
      await this.remove(scene.key);
      step({ ...done, scenes: done.scenes.filter((one) => one.key !== scene.key) });
    }
    const before = new Map(from.scenes.map((scene) => [scene.key, scene.body]));
    for (const [place, scene] of to.scenes.entries()) {
      const old = before.get(scene.key);
      if (old === scene.body) continue;
      if (old) await this.change(scene, old);
      else await this.create(scene, place);
      const others = done.scenes.map((one) => (one.key === scene.key ? scene : one));
      step({ ...done, scenes: old ? others : [...others.slice(0, place), scene, ...others.slice(place)] });
    }
    const order = to.scenes.map((scene) => this.ids.get(scene.key) ?? scene.key);
    if (order.join() !== this.order.join()) {
      await api.PUT("/api/projects/{ref}/scenes/order", { params: { path: { ref: this.ref } }, body: { scenes: order } });
      this.order = order;
    }
    step(to);
  }

  private async pushProject(from: Doc, to: Doc): Promise<void> {
    const { scenes: _old, ...before } = from;
    const { scenes: _new, ...after } = to;
    const changed = Object.entries(after).filter(([name, value]) => before[name as keyof typeof before] !== value);
    if (changed.length === 0) return;
    await api.PATCH("/api/projects/{ref}", { params: { path: { ref: this.ref } }, body: Object.fromEntries(changed) });
  }

  private async remove(key: string): Promise<void> {
    const id = this.ids.get(key);
    if (!id) return;
    const path = { ref: this.ref, scene_id: id };
    await api.DELETE("/api/projects/{ref}/scenes/{scene_id}", { params: { path } }).catch((error: Problem) => {
      // Another tab was first.
      if (error.status !== 404) throw error;
    });
    this.ids.delete(key);
    this.order = this.order.filter((one) => one !== id);
  }

  private async create(scene: SceneDoc, position: number): Promise<void> {
    const path = { ref: this.ref };
    const created = await body(api.POST("/api/projects/{ref}/scenes", { params: { path }, body: { ...scene.body, position } }));
    this.read(scene.key, created);
    this.order = [...this.order.slice(0, position), created.id, ...this.order.slice(position)];
  }

  private async change(scene: SceneDoc, old: SceneBody): Promise<void> {
    const id = this.ids.get(scene.key);
    if (!id) throw new Problem(t`A scene of this project is not there any more.`, "page.scene_lost", t`Load the page again.`);
    const names = Object.keys(scene.body) as (keyof SceneBody)[];
    const changed = Object.fromEntries(
      names.filter((name) => scene.body[name] !== old[name]).map((name) => [name, scene.body[name]]),
    );
    const path = { ref: this.ref, scene_id: id };
    const since = this.versions.get(scene.key);
    try {
      const params = { path, query: since ? { unchanged_since: since } : {} };
      // Only what has changed is sent, though the type wants the defaults too.
      const sent = changed as unknown as SceneBody;
      this.read(scene.key, await body(api.PATCH("/api/projects/{ref}/scenes/{scene_id}", { params, body: sent })));
    } catch (error) {
      if ((error as Problem).code !== CONFLICT) throw error;
      const scenes = await body(api.GET("/api/projects/{ref}/scenes", { params: { path: { ref: this.ref } } }));
      const theirs = scenes.find((one) => one.id === id);
      if (!theirs) throw error;
      if (names.every((name) => !(name in changed) || sameBody({ of: theirs[name] }, { of: scene.body[name] }))) {
        // It was ours: its answer did not arrive.
        this.read(scene.key, theirs);
        return;
      }
      throw new SceneConflict(scene.key, theirs);
    }
  }
}

/** Two bodies or canvases hold the same; null and a field that is left out are one. */
export const sameBody = (one: object, other: object) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === "object")
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, inner]) => inner != null)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, inner]) => [name, sorted(inner)]),
    );
  return value;
}
