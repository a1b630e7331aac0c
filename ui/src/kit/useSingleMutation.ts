/** A mutation of which one runs at a time: of two quick presses the second comes before the button is drawn anew. */
import { type UseMutationOptions, useMutation } from "@tanstack/react-query";
import { useRef } from "react";

export function useSingleMutation<Data, Variables = void>(
  options: Omit<UseMutationOptions<Data, Error, Variables>, "onSettled">,
) {
  const busy = useRef(false);
  const { mutate, ...mutation } = useMutation({
    ...options,
    onSettled: () => {
      busy.current = false;
    },
  });
  return {
    ...mutation,
    mutate: (variables: Variables) => {
      if (busy.current) return;
      busy.current = true;
      mutate(variables);
    },
  };
}
