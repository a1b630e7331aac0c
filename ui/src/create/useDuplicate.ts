/** Makes a copy of a project; `before` says whether it may be made: what was typed last belongs into it. */
import { useQueryClient } from "@tanstack/react-query";
import { api, body, type Me, type Project } from "../api/client";
import { useSingleMutation } from "../kit/useSingleMutation";

export const mayDuplicate = (me: Me) => ["project:create", "scene:create"].every((one) => me.permissions.includes(one));

export function useDuplicate(id: string, onCopied: (copy: Project) => void = () => {}, before = async () => true) {
  const queries = useQueryClient();
  return useSingleMutation({
    mutationFn: async () => {
      if (!(await before())) return null;
      return body(api.POST("/api/projects/{ref}/copy", { params: { path: { ref: id } } }));
    },
    onSuccess: (copy) => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      if (copy) onCopied(copy);
    },
  });
}
