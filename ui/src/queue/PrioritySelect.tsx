/** The priority of one that waits: a few steps with names; another one that a program has set stands beside them. */
import { msg, t } from "@lingui/core/macro";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, type QueueEntry } from "../api/client";
import { ErrorNotice } from "../kit/kit";
import { Select } from "../kit/Select";
import { useLive } from "../live/Live";

const STEPS = [
  [50, msg`at once`],
  [10, msg`sooner`],
  [0, msg`in its turn`],
  [-10, msg`later`],
] as const;

export function PrioritySelect({ of }: { of: QueueEntry }) {
  const queries = useQueryClient();
  const { announce } = useLive();
  const change = useMutation({
    mutationFn: (priority: number) =>
      api.PATCH("/api/renders/{render_id}", { params: { path: { render_id: of.id } }, body: { priority } }),
    onSuccess: () => announce(t`“${of.title}” has another priority.`),
    onSettled: () => queries.invalidateQueries({ queryKey: ["queue"] }),
  });
  const shown = change.isPending ? change.variables : of.priority;
  const named = STEPS.some(([priority]) => priority === shown);
  return (
    <>
      <Select
        className="row quiet priority"
        label={t`Priority`}
        aria-label={t`When ${of.title} runs`}
        value={shown}
        disabled={of.cancel_requested}
        onChange={(priority) => change.mutate(Number(priority))}
        of={STEPS}
      >
        {!named && <option value={shown}>{t`priority ${shown}`}</option>}
      </Select>
      {change.error && <ErrorNotice error={change.error} />}
    </>
  );
}
