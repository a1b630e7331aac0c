/** The steps to the first film, as the server sees them; for those alone who may see them. */
import { msg } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body, type FirstRun } from "../api/client";
import { usePrincipal } from "../shell/me";

type Change = Parameters<typeof send>[0];
export type StepName = FirstRun["steps"][number]["step"];

export const STEP_NAMES = {
  doctor: msg`Check this machine`,
  presenter: msg`Choose a presenter`,
  voice: msg`Hear the voice`,
  film: msg`Make a first video`,
  model: msg`A language model`,
  gpu: msg`Faces on a GPU`,
  machines: msg`More machines`,
  keys: msg`Keys for others`,
} as const;

const KEY = ["first-run"];
const send = (change: {
  presenter?: string;
  steps?: Partial<Record<StepName, "open" | "done" | "skipped">>;
  dismissed?: boolean;
}) => body(api.PATCH("/api/first-run", { body: change as never }));

export function useFirstRun() {
  const mayRead = usePrincipal().permissions.includes("first_run:read");
  return useQuery({ queryKey: KEY, queryFn: () => body(api.GET("/api/first-run")), enabled: mayRead });
}

export function useChangeFirstRun() {
  const queries = useQueryClient();
  return useMutation({
    mutationKey: KEY,
    // One after the other: arrow keys go over several faces at once.
    scope: { id: "first-run" },
    mutationFn: (change: Change) => send(change),
    onMutate: ({ presenter }) => {
      if (presenter) queries.setQueryData<FirstRun>(KEY, (run) => run && { ...run, presenter });
    },
    // The answer to the last one; those before it are older than what is shown.
    onSuccess: (found) => {
      if (queries.isMutating({ mutationKey: KEY }) === 1) queries.setQueryData(KEY, found);
    },
    onError: () => queries.invalidateQueries({ queryKey: KEY }),
  });
}
