/** Shows what cancelling ends, and asks before it does. */
import { plural, t } from "@lingui/core/macro";
import { useMutation, useQuery } from "@tanstack/react-query";
import { api, body, type CancelPlan } from "../api/client";
import { Confirm } from "../kit/Confirm";
import { NoPlan } from "../kit/kit";
import "../kit/changes.css";

interface Props {
  renders: readonly string[];
  onClose: () => void;
  onDone: () => void;
}

export function CancelDialog({ renders, onClose, onDone }: Props) {
  const plan = useQuery({
    queryKey: ["cancel-plan", ...renders],
    queryFn: () => body(api.POST("/api/queue/cancel/plan", { body: { renders: [...renders] } })),
    staleTime: 0,
    gcTime: 0,
  });
  const cancel = useMutation({
    mutationFn: () => api.POST("/api/queue/cancel", { body: { renders: [...renders], plan: plan.data?.sha256 ?? null } }),
    onSuccess: () => {
      onDone();
      onClose();
    },
    // It may be refused since something else would end now: that is shown.
    onError: () => plan.refetch(),
  });
  const count = plan.data?.renders.length ?? renders.length;
  return (
    <Confirm
      title={t`Cancel ${plural(count, { one: "this video", other: "# videos" })}?`}
      confirmLabel={t`Cancel ${plural(count, { one: "# video", other: "# videos" })}`}
      danger
      busy={cancel.isPending || !plan.data || count === 0}
      error={cancel.error}
      onConfirm={() => cancel.mutate()}
      onClose={onClose}
    >
      <NoPlan of={plan} />
      <ul className="changes">
        {plan.data?.renders.map((one) => (
          <li key={one.id}>
            {one.title}
            <span className="where">{effectWords(one)}</span>
          </li>
        ))}
      </ul>
      {(plan.data?.ended.length ?? 0) > 0 && (
        <p className="quiet">{t`${plural(plan.data?.ended.length ?? 0, { one: "# has", other: "# have" })} ended already.`}</p>
      )}
    </Confirm>
  );
}

function effectWords(one: CancelPlan["renders"][number]): string {
  if (one.effect === "leaves_queue") return t`It leaves the queue.`;
  const { frames_done: made, frames_total: total, scenes_done: scenes, scenes_total: all } = one;
  const where = total > 0 ? t`It is stopped at frame ${made} of ${total}.` : t`It is stopped.`;
  return scenes > 0 ? `${where} ${t`${scenes} of ${all} scenes are finished, and stay for another try.`}` : where;
}
