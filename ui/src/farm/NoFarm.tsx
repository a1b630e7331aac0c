/** Stands in the place of an error where the installation has no farm, which is no fault. */
import { t } from "@lingui/core/macro";
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { Empty } from "../kit/kit";

export function NoFarm({ error, children }: { error: Error | null; children: ReactNode }) {
  if (error instanceof Problem && error.code === "cluster.not_configured")
    return (
      <Empty>
        {t`This installation makes videos on its own machine, without a farm. With one, its nodes, cards and jobs stand here.`}{" "}
        <code>farm.nomad.address</code>
      </Empty>
    );
  return children;
}
