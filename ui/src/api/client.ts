/** The typed client: types come from the OpenAPI description of the server, refusals become a `Problem`. */
import createClient from "openapi-fetch";
import { offline, problemOf } from "./problem";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Me = Schemas["Me"];
export type Render = Omit<Schemas["RenderView"], "lost_face_frames">;
export type RenderDetail = Omit<Schemas["RenderDetail"], "lost_face_frames">;
export type RenderSummary = Schemas["RenderSummary"];
export type RenderPlan = Schemas["RenderPlan"];
export type Queue = Schemas["QueueView"];
export type QueueEntry = Schemas["QueueEntry"];
export type CancelPlan = Schemas["CancelPlan"];
export type FarmNode = Schemas["NodeView"];
export type Job = Schemas["JobView"];
export type JobDetail = Schemas["JobDetail"];
export type PolicyAnswer = Schemas["PolicyAnswer"];
export type PolicyAction = Schemas["ActionView"];
export type Approval = Schemas["ApprovalOut"];
export type Machine = Schemas["MachineView"];
export type MachineDetail = Schemas["MachineDetail"];
export type Timeline = Schemas["Timeline"];
export type Run = Schemas["RunView"];
export type RunTask = Schemas["TaskView"];
export type Turn = Schemas["TurnOut"];
export type Span = Schemas["SpanView"];
export type Trace = Schemas["TraceView"];
export type LogLine = Schemas["LogLineView"];
export type Project = Schemas["ProjectView"];
export type ProjectSummary = Schemas["ProjectSummary"];
export type Asset = Schemas["AssetView"];
export type Brand = Schemas["BrandView"];
export type Publication = Schemas["PublicationView"];
export type Key = Schemas["KeyView"];
export type Webhook = Schemas["WebhookView"];
export type ShareLink = Schemas["ShareLinkView"];
export type CreatedShareLink = Schemas["CreatedShareLink"];
export type TranscriptScene = Schemas["TranscriptScene"];
export type PublicationPlan = Schemas["PublicationPlan"];
export type PublishRequest = Schemas["PublishRequest"];
export type ProjectState = Schemas["ProjectState"];
export type Scene = Schemas["SceneView"];
export type SceneSpeech = Schemas["SceneSpeechView"];
export type Check = Schemas["Check"];
export type DoctorReport = Schemas["DoctorReport"];
export type FirstRun = Schemas["FirstRunView"];
export type SettingSection = Schemas["SectionView"];
export type Setting = SettingSection["settings"][number];
export type PersonaEntry = Schemas["PersonaEntry"];
export type VrmReport = Schemas["VrmReport"];
export type VrmFace = Schemas["VrmFace"];
export type BrainEvent = Schemas["ChatAnswer"]["events"][number];
export type Block = NonNullable<Extract<BrainEvent, { type: "text" }>["blocks"]>[number];
export type Inline = Extract<Block, { kind: "paragraph" }>["content"][number];

export const api = createClient<paths>({ baseUrl: "" });
api.use({
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    return response;
  },
  onError() {
    return offline();
  },
});

/** The body of an answer that has one. */
export async function body<T>(asked: Promise<{ data?: T }>): Promise<T> {
  return (await asked).data as T;
}

/** Where the next page of a list begins; undefined on the last one. */
export function nextCursor(answer: Response): string | undefined {
  const next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get("Link") ?? "")?.[1];
  return next ? (new URL(next, location.href).searchParams.get("cursor") ?? undefined) : undefined;
}
