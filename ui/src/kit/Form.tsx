/** A form whose fields show what the server refuses in them; `FormError` shows what names no field of it. */
import { type ComponentProps, createContext, useContext, useMemo, useRef } from "react";
import { Problem } from "../api/problem";
import { ErrorNotice } from "./kit";
import { refusedFields } from "./rules";

interface State {
  error: unknown;
  refused: ReadonlyMap<string, string>;
  /** Paths of the fields that are there. */
  fields: Set<string>;
}

const FormState = createContext<State | null>(null);
/** Null of a field that stands in no form. */
export const useFormState = () => useContext(FormState);

interface Props extends Omit<ComponentProps<"form">, "onSubmit"> {
  /** Why the server did not take it. */
  error: unknown;
  onSubmit: () => void;
}

export function Form({ error, onSubmit, children, ...more }: Props) {
  const fields = useRef(new Set<string>());
  const state = useMemo(
    () => ({ error, refused: refusedFields(error instanceof Problem ? error.document : {}), fields: fields.current }),
    [error],
  );
  return (
    <form
      {...more}
      onSubmit={(event) => {
        event.preventDefault();
        // A dialog is inside of the form that opened it.
        event.stopPropagation();
        onSubmit();
      }}
    >
      <FormState value={state}>{children}</FormState>
    </form>
  );
}

export function FormError() {
  const form = useFormState();
  if (form?.error == null) return null;
  const paths = [...form.refused.keys()];
  const isShown = paths.length > 0 && paths.every((path) => form.fields.has(path));
  return isShown ? null : <ErrorNotice error={form.error} />;
}
