/** Projects: all of them, or the one whose address is open. */
import type { Me } from "../api/client";
import { ProjectEditor } from "./ProjectEditor";
import { ProjectList } from "./ProjectList";
import "./projects.css";

export default function ProjectsView({ id, me }: { id: string; me: Me }) {
  return id ? <ProjectEditor key={id} id={id} me={me} /> : <ProjectList me={me} />;
}
