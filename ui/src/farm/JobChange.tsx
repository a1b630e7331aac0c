/** Stops or scales a job: its plan first, and where people have to agree, the approval that now waits for them. */
import { plural, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, body, type JobDetail } from "../api/client";
import { JobChange as JobScale } from "../api/limits";
import { Confirm } from "../kit/Confirm";
import { Field } from "../kit/Field";
import { NoPlan } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { PlanChanges } from "../kit/PlanChanges";
import { faultOf } from "../kit/rules";
import { Select } from "../kit/Select";
import { useSettled } from "../kit/useSettled";

interface Props {
  job: JobDetail;
  action: "scale" | "stop";
  onClose: () => void;
}

export function JobChange({ job, action, onClose }: Props) {
  const queries = useQueryClient();
  const [group, setGroup] = useState(job.groups[0]?.name ?? "");
  const now = job.groups.find((one) => one.name === group)?.count ?? 0;
  const [typed, setTyped] = useState(String(now));
  const settled = useSettled(typed);
  const count = Number(settled);
  const request = action === "scale" ? { job: job.id, group, count } : { job: job.id };
  const changes = action === "stop" || (!faultOf(settled, JobScale.count, true) && count !== now);
  const plan = useQuery({
    queryKey: ["job-plan", action, request],
    queryFn: () => body(api.POST("/api/farm/jobs/plan", { body: { ...request, action } })),
    enabled: changes,
    staleTime: 0,
    retry: false,
  });
  const change = useMutation({
    mutationFn: () => {
      const planned = { body: { ...request, plan: plan.data?.sha256 ?? null } };
      return body(action === "stop" ? api.POST("/api/farm/jobs/stop", planned) : api.POST("/api/farm/jobs/scale", planned));
    },
    onSuccess: (outcome) => outcome.state === "done" && onClose(),
    onSettled: () => queries.invalidateQueries({ queryKey: ["jobs"] }),
  });
  if (change.data?.state === "waits")
    return (
      <Modal title={t`It waits for people`} onClose={onClose}>
        <p>{t`Nothing has happened yet: somebody has to agree first.`}</p>
        {change.data.approval && (
          <p>
            <Link to="/run/approvals/$id" params={{ id: change.data.approval }}>{t`To the approval`}</Link>
          </p>
        )}
        <div className="row ends">
          {/* biome-ignore lint/a11y/noAutofocus: there is nothing else to do */}
          <button type="button" autoFocus onClick={onClose}>{t`Close`}</button>
        </div>
      </Modal>
    );
  return (
    <Confirm
      title={action === "stop" ? t`Stop ${job.id}?` : t`Scale ${job.id}?`}
      confirmLabel={action === "stop" ? t`Stop this job` : t`Scale this job`}
      danger={action === "stop"}
      busy={change.isPending || !changes || !plan.data || plan.isFetching}
      error={change.error}
      onConfirm={() => change.mutate()}
      onClose={onClose}
    >
      {action === "scale" && (
        <div className="row">
          {job.groups.length > 1 && (
            <Select label={t`Group`} value={group} onChange={setGroup} of={job.groups.map((one) => [one.name, one.name])} />
          )}
          <Field type="number" of={JobScale} name="count" label={t`How many`} required value={typed} onChange={setTyped} />
        </div>
      )}
      {(changes || plan.error) && <NoPlan of={plan} />}
      {changes && plan.data && (
        <div>
          <h3>{t`What would change`}</h3>
          <PlanChanges of={plan.data.changes} />
          {plan.data.approvers > 0 && (
            <p className="quiet">
              {t`${plural(plan.data.approvers, { one: "# person has", other: "# people have" })} to agree before it happens.`}
            </p>
          )}
        </div>
      )}
    </Confirm>
  );
}
