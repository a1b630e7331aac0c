/** Calls that wait for people: the plan in plain words, approve or deny, and what became of earlier ones. */

import { t } from "@lingui/core/macro";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useId, useState } from "react";
import { type Approval, api, type Me } from "../api/client";
import { VoteRequest } from "../api/limits";
import { callTitle, callWords } from "../kit/calls";
import { Field } from "../kit/Field";
import { ErrorNotice, NoRows, State, Table } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { PlanChanges } from "../kit/PlanChanges";
import { personWords } from "../kit/person";
import { usePrincipal } from "../shell/me";
import { duration, when } from "../videos/words";
import { useApprovals } from "./useApprovals";
import "./approvals.css";

export function ApprovalsView() {
  const me = usePrincipal();
  const { id } = useParams({ strict: false });
  const approvals = useApprovals();
  const all = approvals.data ?? [];
  // The one of the address comes first.
  const waiting = all.filter((one) => one.state === "pending").sort((a, b) => Number(b.id === id) - Number(a.id === id));
  const ended = all.filter((one) => one.state !== "pending");
  return (
    <div className="stack">
      <h1>{t`Approvals`}</h1>
      <NoRows of={{ data: approvals.data && waiting, error: approvals.error }}>
        {t`Nothing waits for you. Calls that need a person's yes appear here with their plan.`}
      </NoRows>
      {waiting.map((one) => (
        <Card key={one.id} approval={one} me={me} marked={one.id === id} />
      ))}
      {ended.length > 0 && (
        <>
          <h2>{t`Earlier`}</h2>
          <Table name={t`Earlier approvals`} heads={[t`Call`, t`State`, t`Asked by`, t`When`, t`What came of it`]}>
            {ended.map((one) => (
              <tr key={one.id}>
                <th scope="row">{callTitle(one)}</th>
                <td>
                  <State of={one.state} />
                </td>
                <td>{personWords(one.requester_name)}</td>
                <td className="when">{when(one.created_at)}</td>
                <td>
                  <Marked
                    text={
                      one.outcome ||
                      one.votes
                        ?.map((vote) => vote.reason)
                        .filter(Boolean)
                        .join("; ") ||
                      "–"
                    }
                  />
                </td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </div>
  );
}

function Card({ approval, me, marked }: { approval: Approval; me: Me; marked: boolean }) {
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const field = useId();
  const vote = useMutation({
    mutationFn: (agrees: boolean) => {
      const asked = { params: { path: { approval_id: approval.id } }, body: { reason } };
      return agrees
        ? api.POST("/api/approvals/{approval_id}/approve", asked)
        : api.POST("/api/approvals/{approval_id}/deny", asked);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["approvals"] }),
  });
  const may = me.permissions.includes("approval:decide");
  const lost = approval.plan.changes.filter((one) => one.deletes).map((one) => one.where || one.what);
  const agreed = approval.votes?.filter((one) => one.agrees).length ?? 0;
  return (
    <article className="card approval" aria-labelledby={`${field}-title`} aria-current={marked ? "true" : undefined}>
      <div className="row apart">
        <h2 id={`${field}-title`}>{callTitle(approval)}</h2>
        <State of="pending">{approval.approvers > 1 ? t`${agreed} of ${approval.approvers} agreed` : t`needs a decision`}</State>
      </div>
      <div>
        <h3>{t`What would change`}</h3>
        <PlanChanges of={approval.plan.changes} />
        {approval.plan.changes.length === 0 && <p>{t`Nothing that could be told beforehand.`}</p>}
        {approval.plan.seconds != null && <p className="quiet">{t`It takes about ${duration(approval.plan.seconds)}.`}</p>}
      </div>
      <p className="quiet">
        {t`Asked by ${personWords(approval.requester_name)}, ${when(approval.created_at)}; it ends ${when(approval.expires_at)}.`}{" "}
        {approval.why && <>{t`Why a person decides: ${approval.why.replace(/\.$/, "")}.`}</>}
      </p>
      {vote.error && <ErrorNotice error={vote.error} />}
      {may ? (
        <div className="row decision">
          <Field
            bare
            of={VoteRequest}
            name="reason"
            label={t`Reason`}
            placeholder={t`Reason (kept in the audit log)`}
            value={reason}
            onChange={setReason}
          />
          <button
            type="button"
            className={lost.length > 0 ? "permanent" : "primary"}
            disabled={vote.isPending}
            onClick={() => vote.mutate(true)}
          >
            {lost.length > 0
              ? t`Approve, and lose for good: ${lost.join(", ")}`
              : t`Approve: ${callWords(approval.tool, approval.arguments)}`}
          </button>
          <button type="button" className="plain" disabled={vote.isPending} onClick={() => vote.mutate(false)}>{t`Deny`}</button>
        </div>
      ) : (
        <p className="quiet">{t`Somebody with the right approval:decide decides.`}</p>
      )}
    </article>
  );
}
