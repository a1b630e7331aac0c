/** The newest examination of this visit; the server makes one when it is asked to. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body, type DoctorReport } from "../api/client";

const KEY = ["doctor"];

export function useDoctor(onFound?: (report: DoctorReport) => void) {
  const queries = useQueryClient();
  const report = useQuery<DoctorReport | null>({ queryKey: KEY, queryFn: () => null, enabled: false, staleTime: Infinity });
  const examine = useMutation({
    mutationFn: () => body(api.GET("/api/doctor")),
    onSuccess: (found) => {
      queries.setQueryData(KEY, found);
      onFound?.(found);
    },
  });
  return { report: report.data ?? undefined, examine };
}
