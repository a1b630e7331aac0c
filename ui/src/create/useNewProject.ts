/** Makes a project of a text, begins its film if it is to have one, and opens it. */
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useSingleMutation } from "../kit/useSingleMutation";
import { filmBegun } from "./film";
import { beginFilm, createProject } from "./start";

interface NewProject {
  text: string;
  persona: string;
  film: boolean;
}

export function useNewProject() {
  const navigate = useNavigate();
  const queries = useQueryClient();
  return useSingleMutation({
    mutationFn: async ({ text, persona, film }: NewProject) => {
      const project = await createProject(text, persona);
      if (film) {
        const id = await beginFilm(project);
        filmBegun(id);
        queries.setQueryData(["film-of", project], id);
      }
      return project;
    },
    onSuccess: (project) => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      void navigate({ to: "/studio/p/$slug", params: { slug: project } });
    },
  });
}
